package web

import "github.com/hallpass-auth/hallpass/authserver/internal/issuing"

// adminMetadataPath is the path of the metadata of the admin API (RFC 9728 section 3.1).
const adminMetadataPath = "/.well-known/oauth-protected-resource" + issuing.AdminPath
