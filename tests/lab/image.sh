# shellcheck shell=bash
# The operator's image, built without a registry: the Dockerfile's two bases are made from Debian's packages.

IMAGE_DIR=$KILN_HOME/image
IMAGE_ROOT=$IMAGE_DIR/debian               # what debootstrap made
IMAGE_RECIPE=2                             # another number makes the bases anew
# What Python needs at run time: files of these packages, and no shell, are the base of the image.
IMAGE_PACKAGES=(base-files ca-certificates libbz2-1.0 libc6 libcrypt1 libexpat1 libffi8 libgcc-s1 liblzma5 libssl3
  libuuid1 media-types netbase tzdata zlib1g)

# build_tool ARGUMENT...: buildah with a store of its own.
build_tool() { as_root buildah --root "$IMAGE_DIR/store" --runroot "$IMAGE_DIR/run" --storage-driver overlay "$@"; }

# image_exists NAME: true if the store has it.
image_exists() { build_tool inspect --type image "$1" >/dev/null 2>&1; }

# image_codename: the Debian release that the bases are made from: the machine's own.
image_codename() { (. /etc/os-release && echo "${VERSION_CODENAME:-bookworm}"); }

# image_python: the Python of that release, as /usr/bin/python3.11.
image_python() { echo "/usr/bin/$(basename "$(readlink -f "$IMAGE_ROOT/usr/bin/python3")")"; }

# image_up NAME: builds the image NAME, and writes it to image_archive. Unchanged layers come from the store.
image_up() {
  need_packages buildah debootstrap
  mkdir -p "$IMAGE_DIR"
  image_bases
  timed "image: building $1" logged image "the image could not be built" build_image "$1"
  say "image: $(stat -c %s "$(image_archive)" | awk '{printf "%.0f MB", $1 / 1e6}') in $(image_archive)"
}

# image_archive: where the built image is, as a Docker archive.
image_archive() { echo "$IMAGE_DIR/kiln.tar"; }

# image_bases: both bases, unless they are there.
image_bases() {
  local stamp
  stamp="$IMAGE_RECIPE $(image_codename)"
  if is_stamped "$IMAGE_DIR/bases" "$stamp" && image_exists kiln-lab/build && image_exists kiln-lab/base; then return; fi
  timed "image: making its bases from Debian's packages, once" \
    logged image-bases "the image's bases could not be made" make_bases
  stamp "$IMAGE_DIR/bases" "$stamp"
}

# make_bases: a small Debian with Python for the build, and those of its files that a running Python needs.
make_bases() {
  as_root rm -rf "$IMAGE_ROOT" "$IMAGE_DIR/base"
  as_root debootstrap --variant=minbase --include=ca-certificates,python3-venv,tzdata,netbase,media-types \
    "$(image_codename)" "$IMAGE_ROOT" || return
  import_base kiln-lab/build "$IMAGE_ROOT" || return
  select_base || return
  import_base kiln-lab/base "$IMAGE_DIR/base"
}

# select_base: copies the files of IMAGE_PACKAGES and of Python, without documentation, into a tree.
select_base() {
  local python path
  python=$(basename "$(image_python)")
  mkdir -p "$IMAGE_DIR/base/tmp" "$IMAGE_DIR/base/etc"
  for path in "${IMAGE_PACKAGES[@]}" "lib$python-minimal" "lib$python-stdlib" "$python-minimal"; do
    as_root dpkg --root="$IMAGE_ROOT" -L "$path" || return
  done | grep -Ev '^/(usr/share/(doc|man|locale|lintian|bug)|usr/sbin|etc/(init|cron))' | sort -u |
    while read -r path; do if [ ! -d "$IMAGE_ROOT$path" ] && [ -e "$IMAGE_ROOT$path" ]; then echo ".$path"; fi; done \
      >"$IMAGE_DIR/files"
  echo ./etc/ssl/certs/ca-certificates.crt >>"$IMAGE_DIR/files"
  as_root tar -C "$IMAGE_ROOT" --no-recursion -T "$IMAGE_DIR/files" -cf - | as_root tar -C "$IMAGE_DIR/base" -xf - || return
  echo 'nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin' | as_root tee "$IMAGE_DIR/base/etc/passwd" >/dev/null
  echo 'nonroot:x:65532:' | as_root tee "$IMAGE_DIR/base/etc/group" >/dev/null
  as_root chmod 1777 "$IMAGE_DIR/base/tmp"
}

# import_base NAME DIR: a tree as an image.
import_base() {
  local container
  container=$(build_tool from scratch) || return
  build_tool add -q "$container" "$2" / && build_tool commit -q --rm "$container" "$1"
}

# build_image NAME: the Dockerfile, with the machine's own certificates and settings of pip.
build_image() {
  local path mounts=()
  for path in /etc/ssl/certs/ca-certificates.crt /etc/pip.conf; do
    [ ! -e "$path" ] || mounts+=(--volume "$path:$path:ro")
  done
  build_tool build --isolation chroot --layers --timestamp 0 "${mounts[@]}" --tag "$1" \
    --build-arg BUILD_BASE=localhost/kiln-lab/build --build-arg BASE=localhost/kiln-lab/base \
    --build-arg "PYTHON=$(image_python)" --build-arg "REVISION=$(git -C "$LAB_DIR" rev-parse HEAD || echo unknown)" \
    "$LAB_DIR/../.." || return
  rm -f "$(image_archive)"
  build_tool push -q "$1" "docker-archive:$(image_archive):$1"
}
