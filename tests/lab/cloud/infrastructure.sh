# shellcheck shell=bash
# What OpenStack stands on: MariaDB on a Unix socket, RabbitMQ and memcached on 127.0.0.1.

DATABASE_SOCKET=$RUN_DIR/mariadb.sock
INFRASTRUCTURE=(mariadb memcached rabbitmq-epmd rabbitmq)   # in the order of their start

# database_url NAME: the database's URL for SQLAlchemy.
database_url() { echo "mysql+pymysql://root@localhost/$1?unix_socket=$DATABASE_SOCKET&charset=utf8mb4"; }

# rabbitmq_url: the message bus's URL for oslo.messaging.
rabbitmq_url() { echo "rabbit://guest:guest@$HOST:$(port rabbitmq)/"; }

# sql STATEMENT [DATABASE]: runs it, prints bare rows.
sql() { mariadb --no-defaults -u root -S "$DATABASE_SOCKET" -Ne "$1" "${2:-}"; }

# start_mariadb: nothing is flushed at commit or written twice: data of no worth, made fast. No TCP at all.
start_mariadb() {
  if ! [ -d "$CLOUD_DATA/mariadb/mysql" ]; then
    mkdir -p "$CLOUD_DATA/mariadb"
    mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$CLOUD_DATA/mariadb" --skip-test-db \
      --auth-root-authentication-method=normal >"$LOG_DIR/mariadb-install.log" 2>&1 ||
      die_with_log "$LOG_DIR/mariadb-install.log" "the database could not be made"
  fi
  # Debian puts the server into sbin, which a user's PATH lacks.
  launch mariadb env PATH="$PATH:/usr/sbin" mariadbd --no-defaults --user="$(id -un)" \
    --datadir="$CLOUD_DATA/mariadb" --socket="$DATABASE_SOCKET" --skip-networking \
    --pid-file="$CLOUD_DATA/mariadb/server.pid" --skip-log-bin --skip-name-resolve --performance-schema=off \
    --max-connections=1000 --innodb-buffer-pool-size=256M --innodb-log-file-size=64M \
    --innodb-flush-log-at-trx-commit=0 --innodb-doublewrite=0 --innodb-use-native-aio=0 \
    --character-set-server=utf8mb4 --table-open-cache=2000 --thread-cache-size=64
}

# start_memcached: tokens and catalogues.
start_memcached() {
  need_free_port memcached
  launch memcached memcached -u "$(id -un)" -l "$HOST" -p "$(port memcached)" -m 64 -c 4096 -t 1
}

# start_rabbitmq_epmd: Erlang's name server. RabbitMQ would start one that outlives it.
start_rabbitmq_epmd() {
  need_free_port rabbitmq-epmd
  launch rabbitmq-epmd epmd -address "$HOST" -port "$(port rabbitmq-epmd)"
}

# start_rabbitmq: with an empty state each time: queues are declared by whoever connects, and a state that a crash
# left behind only keeps it from starting.
start_rabbitmq() {
  local state=$CLOUD_DATA/rabbitmq
  ! is_running rabbitmq || return 0
  need_free_port rabbitmq
  rm -rf "$state"
  mkdir -p "$state"
  launch rabbitmq env HOME="$state" ERL_EPMD_ADDRESS="$HOST" ERL_EPMD_PORT="$(port rabbitmq-epmd)" \
    RABBITMQ_NODENAME=lab@localhost RABBITMQ_NODE_IP_ADDRESS="$HOST" RABBITMQ_NODE_PORT="$(port rabbitmq)" \
    RABBITMQ_DIST_PORT="$(port rabbitmq-distribution)" RABBITMQ_MNESIA_BASE="$state" RABBITMQ_LOG_BASE="$LOG_DIR" \
    RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILE="$state/none" \
    RABBITMQ_ENABLED_PLUGINS_FILE="$state/plugins" RABBITMQ_PID_FILE="$state/server.pid" \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+S 1:1 +sbwt none +A 4 -kernel inet_dist_use_interface {127,0,0,1}" \
    /usr/lib/rabbitmq/bin/rabbitmq-server
}

# wait_infrastructure NAME: waits until the component answers.
wait_infrastructure() {
  case $1 in
    mariadb) wait_until mariadb 60 database_answers ;;
    *) wait_until "$1" 60 port_answers "$(port "$1")" ;;
  esac
}

# database_answers: true once it takes statements.
database_answers() { sql 'select 1' >/dev/null 2>&1; }

# recover_mariadb: after a machine went down with a running lab, the data may be torn; then OpenStack begins anew.
recover_mariadb() {
  is_cut_off mariadb || return 0
  start_mariadb
  (wait_infrastructure mariadb) 2>/dev/null && return
  stop mariadb
  say "OpenStack: the database did not survive the restart of the machine: starting with an empty cloud"
  rm -rf "$CLOUD_DATA"
  make_cloud_directories
}

# start_infrastructure: all of it together, then waits for each.
start_infrastructure() {
  local name
  recover_mariadb
  for name in "${INFRASTRUCTURE[@]}"; do "start_${name//-/_}"; done
  for name in "${INFRASTRUCTURE[@]}"; do wait_infrastructure "$name"; done
}
