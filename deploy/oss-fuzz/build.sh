#!/bin/bash -eu
# Builds the fuzz targets for OSS-Fuzz, which runs this script in the image of the Dockerfile beside it. The second
# version of its compiler is needed: our targets are in test packages of their own. A test compares the lines with what
# deploy/fuzz.sh -list prints.
cd "$SRC/hallpass"

# build PACKAGE TARGET builds a target from the module that it belongs to.
build() {
	local module=$1
	until [ -f "$module/go.mod" ]; do module=$(dirname "$module"); done
	local package
	package=$(cd "$1" && go list .)
	(cd "$module" && go get github.com/AdamKorcz/go-118-fuzz-build/testing &&
		compile_native_go_fuzzer_v2 "$package" "$2" "$(basename "$1")_$2")
}

export GOWORK=off
build authserver/internal/account FuzzAcceptedPasswordsCanBeUsed
build authserver/internal/account FuzzBrowser
build authserver/internal/account FuzzPrepareOwnEmail
build authserver/internal/account FuzzPrepareUsername
build authserver/internal/adminapi FuzzDecodeCursor
build authserver/internal/assertion FuzzVerify
build authserver/internal/assertion FuzzVerifySigned
build authserver/internal/audit FuzzNeutral
build authserver/internal/catalog FuzzWith
build authserver/internal/client FuzzAllowsRedirect
build authserver/internal/client FuzzRegisteredRedirectURI
build authserver/internal/clientmeta FuzzDocumentID
build authserver/internal/clientmeta FuzzParse
build authserver/internal/configfile FuzzParse
build authserver/internal/grant FuzzNumberOf
build authserver/internal/grant FuzzNumberOfStatus
build authserver/internal/grant FuzzParseRefreshToken
build authserver/internal/grant FuzzParseUserCode
build authserver/internal/grant FuzzRefreshTokenRoundTrip
build authserver/internal/grant FuzzStatusIsUnique
build authserver/internal/jwkset FuzzParse
build authserver/internal/outbound FuzzCheckURL
build authserver/internal/passkey FuzzRegister
build authserver/internal/passkey FuzzSecondStep
build authserver/internal/passwordhash FuzzParse
build authserver/internal/record FuzzCheckName
build authserver/internal/theme FuzzSVG
build authserver/internal/userimport FuzzAuth0
build authserver/internal/userimport FuzzCSV
build authserver/internal/userimport FuzzJSONL
build authserver/internal/userimport FuzzKeycloak
build authserver/internal/userimport FuzzSupabase
build authserver/internal/web FuzzAuthorize
build authserver/internal/web FuzzEndSession
build authserver/internal/web FuzzPages
build authserver/internal/web FuzzPushedRequest
build authserver/internal/web FuzzRegister
build authserver/internal/web FuzzSessionCookie
build authserver/internal/web FuzzToken
build resourceserver/internal/api FuzzIdempotencyKey
build resourceserver/internal/api FuzzItemPath
build resourceserver/internal/api FuzzList
build resourceserver/internal/api FuzzPatch
build resourceserver/internal/items FuzzParseTags
build shared/bearer FuzzAuthorization
build shared/bff FuzzCallback
build shared/bff FuzzCookie
build shared/bff FuzzLogoutToken
build shared/bff FuzzReturnTo
build shared/dpop FuzzCheck
build shared/dpop FuzzCheckSigned
build shared/httpserver FuzzAllowedHost
build shared/httpserver FuzzClientAddress
build shared/keyring FuzzParse
build shared/keyring FuzzParsePublic
build shared/mcpbearer FuzzRequireForTools
build shared/oauth FuzzParseScope
build shared/problem FuzzWrite
build shared/statuslist FuzzDecode
build shared/statuslist FuzzVerify
build shared/statuslist FuzzVerifySigned
build shared/token FuzzVerify
build shared/token FuzzVerifySigned
