#!/usr/bin/env bash
# Builds the image of each program twice, the second time without Docker's cache, and fails unless both have the same
# files: names, owners, modes, sizes, links and contents. Times are not compared: they are those of the build.
#
# It needs Docker. GO_IMAGE names the base image; name it by its digest to build the files of somebody else's image.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
name=hallpass-twice
temporary=$(mktemp -d)
version=$(git describe --tags --always --dirty)

finish() {
	local image
	docker rm --force "$name" >/dev/null 2>&1 || true
	for image in authserver resourceserver; do
		docker image rm "$name-$image:first" "$name-$image:second" >/dev/null 2>&1 || true
	done
	rm -rf "$temporary"
}
trap finish EXIT

# build PROGRAM TAG OPTION... builds the image of a program.
build() {
	local program=$1 tag=$2
	shift 2
	docker build --quiet "$@" -f deploy/Dockerfile --build-arg "PROGRAM=$program" --build-arg "VERSION=$version" \
		${GO_IMAGE:+--build-arg "GO_IMAGE=$GO_IMAGE"} -t "$name-$program:$tag" . >/dev/null
}

# files IMAGE writes a line for each file of an image: mode, owner, size, name and target, then a line for the contents
# of each. Docker adds some empty files to every container: they are left out.
files() {
	local added=(.dockerenv dev etc/hostname etc/hosts etc/mtab etc/resolv.conf proc sys)
	docker create --name "$name" "$1" >/dev/null
	docker export "$name" >"$temporary/image.tar"
	docker rm "$name" >/dev/null
	tar -tvf "$temporary/image.tar" --anchored "${added[@]/#/--exclude=}" --numeric-owner --full-time |
		awk '{ $4 = $5 = ""; print }' | sort
	tar -xf "$temporary/image.tar" --anchored "${added[@]/#/--exclude=}" \
		--to-command='echo "$(sha256sum | cut -d " " -f 1) $TAR_FILENAME"' | sort -k 2
}

for program in authserver resourceserver; do
	echo "Building the image of $program twice."
	build $program first
	build $program second --no-cache
	files "$name-$program:first" >"$temporary/first"
	files "$name-$program:second" >"$temporary/second"
	for path in "bin/$program" zoneinfo.zip etc/ssl/certs/ca-certificates.crt; do
		grep -qE "^[0-9a-f]{64} $path\$" "$temporary/first" || { echo "The image has no $path." >&2; exit 1; }
	done
	diff "$temporary/first" "$temporary/second" >&2 || { echo "The two images of $program differ." >&2; exit 1; }
	echo "Both images of $program have the same $(grep -cE '^[0-9a-f]{64} ' "$temporary/first") files:"
	grep -E '^[0-9a-f]{64} ' "$temporary/first"
done
