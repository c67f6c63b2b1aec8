# shellcheck shell=bash
# krew, kubectl's plugin manager, and the checker of its index, for tests of the manifest of kubectl-stack.

KREW_VERSION=0.4.3
KREW_DIR=$KILN_HOME/krew

# krew_path: prints the folder with krew and validate-krew-manifest; builds them if need be.
krew_path() {
  if ! is_stamped "$KREW_DIR/version" "$KREW_VERSION"; then
    mkdir -p "$KREW_DIR" "$LOG_DIR"
    need_go
    timed "building krew $KREW_VERSION, once (2 minutes)" logged build-krew "krew could not be built" build_krew
    stamp "$KREW_DIR/version" "$KREW_VERSION"
  fi
  echo "$KREW_DIR/bin"
}

# build_krew: both programs, as tools of a module of ours.
build_krew() {
  cd "$KREW_DIR" || return
  printf 'module kiln/lab/krew\ngo 1.21\nrequire sigs.k8s.io/krew v%s\n' "$KREW_VERSION" >go.mod
  printf '%s\n' '//go:build tools' 'package tools' 'import (' '_ "sigs.k8s.io/krew/cmd/krew"' \
    '_ "sigs.k8s.io/krew/cmd/validate-krew-manifest"' ')' >tools.go
  CGO_ENABLED=0 GOFLAGS=-mod=mod nice go build -p 2 -trimpath -o bin/ sigs.k8s.io/krew/cmd/krew \
    sigs.k8s.io/krew/cmd/validate-krew-manifest
}
