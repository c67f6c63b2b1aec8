# shellcheck shell=bash
# What the cloud is made of: Debian's MariaDB, RabbitMQ and memcached, and OpenStack from PyPI in an environment of
# its own. constraints.txt is a freeze of an environment that works; OpenStack is sensitive to newer libraries.

# install_cloud: everything that is missing for the services in SERVICES.
install_cloud() {
  local service constraints words requirements=() missing=()
  need_packages mariadb-server-core mariadb-client-core rabbitmq-server memcached curl openssl procps
  constraints=$(cksum <"$CLOUD_SOURCE/constraints.txt")
  if ! "$VENV/bin/python" -c '' 2>/dev/null; then
    timed "OpenStack: making its Python environment" make_cloud_venv
  fi
  for service in "${SERVICES[@]}"; do
    is_stamped "$VENV/.installed-$service" "${REQUIREMENTS[$service]} $constraints" && continue
    missing+=("$service")
    read -ra words <<<"${REQUIREMENTS[$service]}"
    requirements+=("${words[@]}")
  done
  if ((${#missing[@]})); then
    timed "OpenStack: installing ${missing[*]} (the first time, about 2 minutes)" install_requirements "${requirements[@]}"
    for service in "${missing[@]}"; do
      stamp "$VENV/.installed-$service" "${REQUIREMENTS[$service]} $constraints"
    done
  fi
  install_plugins
  ln -sfn "$VENV/bin/openstack" "$LINK_DIR/openstack"
}

# make_cloud_venv: an empty environment. 3.11 comes first: the constraints were frozen with it.
make_cloud_venv() {
  local python
  python=$(need_python 3.11 3.12 3.13)
  if ! "$TOOLS/bin/uv" --version >/dev/null 2>&1; then
    rm -rf "$TOOLS"
    { "$python" -m venv "$TOOLS" && "$TOOLS/bin/pip" install -q uv; } >"$LOG_DIR/install.log" 2>&1 ||
      die_with_log "$LOG_DIR/install.log" "uv could not be installed"
  fi
  "$TOOLS/bin/uv" venv -q --clear --python "$python" "$VENV" >>"$LOG_DIR/install.log" 2>&1 ||
    die_with_log "$LOG_DIR/install.log" "$VENV could not be made"
}

# install_requirements REQUIREMENT...: into the cloud's environment.
install_requirements() {
  "$TOOLS/bin/uv" pip install -q --compile-bytecode --python "$VENV/bin/python" \
    -c "$CLOUD_SOURCE/constraints.txt" "$@" >>"$LOG_DIR/install.log" 2>&1 ||
    die_with_log "$LOG_DIR/install.log" "OpenStack could not be installed"
}

# install_plugins: our drivers, with the entry points by which the services find them.
install_plugins() {
  local packages metadata
  packages=$("$VENV/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  metadata=$packages/kiln_lab-1.dist-info
  mkdir -p "$metadata"
  printf 'Metadata-Version: 2.1\nName: kiln_lab\nVersion: 1\n' >"$metadata/METADATA"
  cp "$CLOUD_SOURCE/plugins/entry_points.txt" "$metadata/"
  cp "$CLOUD_SOURCE"/plugins/*.py "$packages/"
  cp "$CLOUD_SOURCE/plugins/kiln_lab_nova.py" "$packages/nova/virt/"   # Nova looks for drivers in nova.virt only
}
