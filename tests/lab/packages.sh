# shellcheck shell=bash
# What the machine itself must have: Debian packages, a Python, a Go. Each is installed only where it is missing.

# as_root COMMAND...: runs COMMAND as root, through sudo unless we are root already.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_packages NAME...: installs those of the Debian packages that are missing.
need_packages() {
  local name missing=()
  for name in "$@"; do
    dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q ' installed$' || missing+=("$name")
  done
  ((${#missing[@]})) || return 0
  command -v apt-get >/dev/null || die "these are needed, and there is no apt-get to install them: ${missing[*]}"
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
    die "please install as root: apt-get install ${missing[*]}"
  mkdir -p "$LOG_DIR"
  timed "installing Debian packages: ${missing[*]}" install_packages "${missing[@]}"
}

# install_packages NAME...: apt-get install, with fresh package lists where there are none or they are too old.
install_packages() {
  local log=$LOG_DIR/apt.log
  if ! compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || ! apt_install "$@" >>"$log" 2>&1; then
    as_root apt-get update >>"$log" 2>&1 || die_with_log "$log" "apt-get update failed"
    apt_install "$@" >>"$log" 2>&1 || die_with_log "$log" "apt-get install failed"
  fi
  # Debian starts what it installs; the lab starts its own, on its own ports.
  if [ -d /run/systemd/system ]; then
    for name in "$@"; do
      case $name in memcached | rabbitmq-server) as_root systemctl disable --now "$name" >>"$log" 2>&1 || true ;; esac
    done
  fi
}

# apt_install NAME...: the bare command. RUNLEVEL=1 keeps sysvinit's packages from starting their services.
apt_install() {
  as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# can_make_venv PYTHON: Debian keeps the modules for this in a package of their own.
can_make_venv() { "$1" -c 'import ensurepip, venv' 2>/dev/null; }

# find_python VERSIONS: prints the first Python of the words VERSIONS (3.11 3.12 ...) that is here and works.
find_python() {
  local version path
  for version in "$@"; do
    # A shim of a version manager may exist and yet refuse to run; and python3 may be the version that we look for.
    for path in "python$version" python3 "/usr/bin/python$version"; do
      if [ "$("$path" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$version" ]; then
        command -v "$path"
        return
      fi
    done
  done
  return 1
}

# need_python VERSIONS: the same, installed from Debian if there is none, and able to make virtual environments.
need_python() {
  local python
  if ! python=$(find_python "$@"); then
    need_packages python3 python3-venv
    python=$(find_python "$@") || die "none of these Pythons is here, nor in Debian's python3: $*"
  fi
  if ! can_make_venv "$python"; then
    need_packages "$(basename "$(realpath "$python")")-venv"   # Debian's name: python3.11-venv
    can_make_venv "$python" || die "$python cannot make virtual environments: install its venv and ensurepip modules"
  fi
  echo "$python"
}

GO_WANTED=1.25.0   # what the Go modules of Kubernetes ask for
GO_TOOLCHAIN=1.25.5

# need_go: puts a Go that is new enough on the PATH.
need_go() {
  local minor
  [ ! -x "$KUBE_DIR/go/bin/go" ] || PATH=$KUBE_DIR/go/bin:$PATH
  command -v go >/dev/null || need_packages golang-go
  minor=$(GOTOOLCHAIN=local go env GOVERSION | sed -nE 's/^go1\.([0-9]+).*/\1/p')
  if ((minor >= 25)); then
    return
  elif ((minor >= 21)); then
    export GOTOOLCHAIN=go$GO_TOOLCHAIN   # this Go fetches a newer one by itself
  else
    timed "fetching Go $GO_TOOLCHAIN (here is only 1.$minor)" fetch_go
    PATH=$KUBE_DIR/go/bin:$PATH
  fi
}

# fetch_go: an old Go, as Debian's, cannot change to a newer one by itself, but can fetch it: it is a module.
fetch_go() {
  local source modules=$KUBE_DIR/go-modules
  source=golang.org/toolchain@v0.0.1-go$GO_TOOLCHAIN.linux-$(go env GOARCH)
  (cd / && GOMODCACHE=$modules GOFLAGS=-modcacherw go mod download "$source") >"$LOG_DIR/go.log" 2>&1 ||
    die_with_log "$LOG_DIR/go.log" "Go $GO_WANTED or newer is needed, and $source cannot be fetched: please install Go"
  rm -rf "$KUBE_DIR/go"
  mv "$modules/$source" "$KUBE_DIR/go"
  chmod -R u+w "$modules" && rm -rf "$modules"
  # A module carries no modes.
  find "$KUBE_DIR/go/bin" "$KUBE_DIR/go/pkg/tool" -type f -exec chmod +x {} +
}
