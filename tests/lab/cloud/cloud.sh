# shellcheck shell=bash
# OpenStack: installs, configures, starts and seeds the services, on one machine and without a hypervisor.
#
# Each service is one file of services/: it fills the tables below and defines
#   NAME_configure   writes its configuration below $CLOUD_ETC/NAME
#   NAME_migrate     makes its tables (for services with a database)
#   start_COMPONENT  starts one process, for each one in APIS and WORKERS ("-" becomes "_")
#   NAME_finish      optional: what is to be done once everything answers, the first time

CLOUD_SOURCE=$LAB_DIR/cloud
CLOUD_DIR=$KILN_HOME/cloud
VENV=$CLOUD_DIR/venv             # OpenStack
TOOLS=$CLOUD_DIR/tools           # uv, which installs it
CLOUD_ETC=$CLOUD_DIR/etc         # configuration, written afresh by each start
CLOUD_DATA=$CLOUD_DIR/data       # databases, images, keys: deleted by wipe
SERVICE_HOME=$CLOUD_ETC/home     # for services that read their configuration from the home directory
CLOUDS_FILE=$CLOUD_DIR/clouds.yaml
export UV_CACHE_DIR=${UV_CACHE_DIR:-$CLOUD_DIR/cache/uv}

SERVICE_PASSWORD=labpw
REGION=RegionOne
KEYSTONE_URL=http://$HOST:$(port keystone)

declare -A REQUIREMENTS=()    # what to install from PyPI
declare -A DATABASES=()       # its databases
declare -A APIS=()            # its components that answer HTTP, on the port of their name
declare -A WORKERS=()         # its other components, started when users and endpoints are there
declare -A ENDPOINTS=()       # its catalogue entries, one a line: NAME TYPE URL
declare -A DOMAIN_ADMINS=()   # a domain of its own and that domain's admin: DOMAIN USER

# In the order in which they are configured and stopped. Keystone is the first: the others need it.
CORE_SERVICES=(keystone glance placement neutron nova cinder)
EXTRA_SERVICES=(octavia barbican swift manila gnocchi aodh designate mistral magnum)
KNOWN_SERVICES=("${CORE_SERVICES[@]}" heat "${EXTRA_SERVICES[@]}")
SERVICES=()   # those of this run

# shellcheck source=cloud/install.sh
. "$CLOUD_SOURCE/install.sh"
# shellcheck source=cloud/oslo.sh
. "$CLOUD_SOURCE/oslo.sh"
# shellcheck source=cloud/infrastructure.sh
. "$CLOUD_SOURCE/infrastructure.sh"
for service in "${KNOWN_SERVICES[@]}"; do
  # shellcheck source=/dev/null
  . "$CLOUD_SOURCE/services/$service.sh"
done
unset service

# select_services: SERVICES from LAB_SERVICES ("core", "all" or names) and LAB_HEAT; the core set is always in.
select_services() {
  local word wanted=" ${CORE_SERVICES[*]} "
  [ "$LAB_HEAT" != 1 ] || wanted+="heat "
  for word in $LAB_SERVICES; do
    case $word in
      core) ;;
      all) wanted+="${EXTRA_SERVICES[*]} " ;;
      *)
        [[ " ${KNOWN_SERVICES[*]} " = *" $word "* ]] ||
          die "LAB_SERVICES: '$word' is none of: core all ${KNOWN_SERVICES[*]}"
        wanted+="$word "
        ;;
    esac
  done
  SERVICES=()
  for word in "${KNOWN_SERVICES[@]}"; do
    [[ $wanted != *" $word "* ]] || SERVICES+=("$word")
  done
}

# cloud_components [SERVICE...]: every component of the services, infrastructure first, in the order of their start.
cloud_components() {
  local service
  echo "${INFRASTRUCTURE[@]}"
  for service in "$@"; do echo "${APIS[$service]:-}"; done
  for service in "$@"; do echo "${WORKERS[$service]:-}"; done
}

# start_api NAME MODULE PROCESSES THREADS [UWSGI_OPTION...]: an API under uWSGI, on the port of its name.
start_api() {
  local name=$1 module=$2 processes=$3 threads=$4
  shift 4
  need_free_port "$name"
  PYTHONWARNINGS=ignore launch "$name" "$VENV/bin/uwsgi" --http-socket "$HOST:$(port "$name")" \
    --module "$module:application" --master --no-orphans --processes "$processes" --threads "$threads" \
    --enable-threads --lazy-apps --need-app --die-on-term --thunder-lock --listen 100 --socket-timeout 600 \
    --so-keepalive --buffer-size 65535 --add-header "Connection: close" --procname-prefix-spaced "$name" \
    --logger stdio --req-logger "file:$LOG_DIR/$name.access" \
    --log-format '%(ltime) %(method) %(uri) %(status) %(msecs)ms %(uagent)' "$@"
}

# start_worker NAME [ARGUMENT...]: a service's own program.
start_worker() {
  local name=$1
  shift
  PYTHONWARNINGS=ignore launch "$name" "$VENV/bin/$name" "$@"
}

# seed COMMAND...: runs seed.py against this cloud.
seed() {
  OS_CLIENT_CONFIG_FILE=$CLOUDS_FILE PYTHONWARNINGS=ignore "$VENV/bin/python" "$CLOUD_SOURCE/seed.py" "$@" \
    >"$LOG_DIR/seed-$1.log" 2>&1 || die_with_log "$LOG_DIR/seed-$1.log" "seeding failed"
}

# make_cloud_directories: for configuration and data.
make_cloud_directories() {
  local service
  mkdir -p "$SERVICE_HOME" "$CLOUD_DATA/lock" "$CLOUD_DATA/stamps"
  for service in "${SERVICES[@]}"; do mkdir -p "$CLOUD_ETC/$service" "$CLOUD_DATA/$service"; done
}

# write_clouds_file: clouds.yaml, with the clouds admin, demo and alt.
write_clouds_file() {
  local name password
  (
    umask 077
    {
      echo "clouds:"
      for name in admin demo alt; do
        password=$name
        [ "$name" != admin ] || password=$SERVICE_PASSWORD
        cat <<END
  $name:
    auth:
      auth_url: $KEYSTONE_URL/v3
      username: $name
      password: $password
      project_name: $name
      user_domain_name: Default
      project_domain_name: Default
    identity_api_version: '3'
    interface: public
    region_name: $REGION
END
      done
    } >"$CLOUDS_FILE"
  )
}

# ---------------------------------------------------------------------------------------------------------------
# Up and down
# ---------------------------------------------------------------------------------------------------------------

# cloud_up: everything from nothing to an answering cloud; what is done already is not done again.
cloud_up() {
  local name missing=()
  mkdir -p "$CLOUD_DIR"
  check_data_offset
  for name in $(cloud_components "${SERVICES[@]}"); do is_running "$name" || missing+=("$name"); done
  if ! ((${#missing[@]})) && [ -e "$CLOUD_DATA/stamps/healthy" ]; then
    return 0
  fi
  install_cloud
  make_cloud_directories
  rm -f "$CLOUD_DATA/stamps/healthy"
  timed "OpenStack: starting MariaDB, RabbitMQ, memcached" start_infrastructure
  configure_services
  migrate_services
  timed "OpenStack: starting ${SERVICES[*]} (about a minute on two cores)" start_services
  stamp "$CLOUD_DATA/stamps/healthy"
}

# check_data_offset: endpoints and cells hold port numbers, so data stay with the offset that they were made with.
check_data_offset() {
  local file=$CLOUD_DATA/stamps/port-offset
  if [ -e "$file" ]; then
    is_stamped "$file" "$LAB_PORT_OFFSET" || die "the lab in $KILN_HOME was made with LAB_PORT_OFFSET=$(<"$file"):" \
      "use that, or 'make lab-wipe' first, or another KILN_HOME"
  else
    mkdir -p "$CLOUD_DATA/stamps"
    stamp "$file" "$LAB_PORT_OFFSET"
  fi
}

# configure_services: all configuration files.
configure_services() {
  local service
  write_clouds_file
  for service in "${SERVICES[@]}"; do "${service}_configure"; done
}

# migrate_services: the tables of services that have none yet, by two jobs side by side. Neutron and Nova take the
# longest.
migrate_services() {
  local service name first=() second=() statements=
  for service in "${SERVICES[@]}"; do
    if [ -z "${DATABASES[$service]:-}" ] || [ -e "$CLOUD_DATA/stamps/migrated-$service" ]; then continue; fi
    for name in ${DATABASES[$service]}; do statements+="create database if not exists $name;"; done
    case $service in neutron | nova) second+=("$service") ;; *) first+=("$service") ;; esac
  done
  [ -n "$statements" ] || return 0
  sql "$statements"
  timed "OpenStack: making the tables of ${first[*]} ${second[*]}" migrate_in_two_jobs "${#first[@]}" \
    "${first[@]}" "${second[@]}"
}

# migrate_in_two_jobs COUNT SERVICE...: the first COUNT services by one job, the others by another.
migrate_in_two_jobs() {
  local count=$1 service jobs=()
  shift
  migrate_each "${@:1:count}" &
  jobs+=($!)
  migrate_each "${@:count+1}" &
  jobs+=($!)
  wait "${jobs[@]}" || true   # which of them failed, the stamps tell
  for service in "$@"; do
    [ -e "$CLOUD_DATA/stamps/migrated-$service" ] ||
      die_with_log "$LOG_DIR/$service-migrate.log" "$service: its tables could not be made"
  done
}

# migrate_each SERVICE...: one after the other; ends at the first that fails (it runs as a job, where set -e holds).
migrate_each() {
  local service
  for service in "$@"; do
    "${service}_migrate" >"$LOG_DIR/$service-migrate.log" 2>&1
    stamp "$CLOUD_DATA/stamps/migrated-$service"
  done
}

# start_services: the APIs, then users and endpoints, then the workers, which need them, then objects.
start_services() {
  local service name
  for service in "${SERVICES[@]}"; do
    for name in ${APIS[$service]:-}; do "start_${name//-/_}"; done
  done
  wait_api keystone
  seed_identity
  for service in "${SERVICES[@]}"; do
    for name in ${WORKERS[$service]:-}; do "start_${name//-/_}"; done
  done
  for service in "${SERVICES[@]}"; do
    for name in ${APIS[$service]:-}; do wait_api "$name"; done
  done
  seed_objects
  for service in "${SERVICES[@]}"; do
    if [ -e "$CLOUD_DATA/stamps/finished-$service" ]; then continue; fi
    if declare -F "${service}_finish" >/dev/null; then "${service}_finish"; fi
    stamp "$CLOUD_DATA/stamps/finished-$service"
  done
  seed health "${SERVICES[@]}"
}

# wait_api NAME: waits until the API answers.
wait_api() { wait_until "$1" 180 http_answers "$(port "$1")"; }

# seed_identity: roles and the users' projects, and what Keystone must know of the services that are new.
seed_identity() {
  local service arguments=() new=()
  for service in "${SERVICES[@]}"; do
    [ ! -e "$CLOUD_DATA/stamps/seeded-$service" ] || continue
    new+=("$service")
    [ "$service" = keystone ] || arguments+=(--user "$service")
    while read -r name type url; do
      [ -z "$url" ] || arguments+=(--endpoint "$name" "$type" "$url")
    done <<<"${ENDPOINTS[$service]:-}"
    [ -z "${DOMAIN_ADMINS[$service]:-}" ] || {
      read -r domain user <<<"${DOMAIN_ADMINS[$service]}"
      arguments+=(--domain-admin "$domain" "$user")
    }
  done
  ((${#new[@]})) || return 0
  seed identity --region "$REGION" --password "$SERVICE_PASSWORD" "${arguments[@]}"
  for service in "${new[@]}"; do stamp "$CLOUD_DATA/stamps/seeded-$service"; done
}

# seed_objects: flavors, images, the external network: once, and again when the list has changed.
seed_objects() {
  local version
  version=$(cksum <"$CLOUD_SOURCE/seed.py")
  is_stamped "$CLOUD_DATA/stamps/seeded-objects" "$version" && return
  seed objects
  stamp "$CLOUD_DATA/stamps/seeded-objects" "$version"
}

# cloud_down: stops what cloud_up started: the services together, then what they stand on.
cloud_down() {
  local name components=()
  for name in $(cloud_components "${KNOWN_SERVICES[@]}"); do
    [[ " ${INFRASTRUCTURE[*]} " = *" $name "* ]] || components+=("$name")
  done
  stop "${components[@]}"
  stop rabbitmq memcached
  stop mariadb rabbitmq-epmd
}

# cloud_wipe: deletes the cloud's data and configuration, not the installation.
cloud_wipe() { rm -rf "$CLOUD_DATA" "$CLOUD_ETC" "$CLOUDS_FILE"; }
