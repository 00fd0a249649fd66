#!/usr/bin/env bash
# Makes a certificate authority for development and trials, with one command and openssl alone.
#
#   deploy/dev-ca.sh DIR                            a CA, and a certificate for each role
#   deploy/dev-ca.sh DIR service payments           one more: ROLE NAME [HOST...]
#   deploy/dev-ca.sh DIR agent accounts db7 10.0.0.7
#
# In DIR: ca.pem and ca.key; for each certificate ROLE-NAME.pem and ROLE-NAME.key, mode 0600. HOSTs (names or addresses;
# localhost, 127.0.0.1 and ::1 are there always) are for clients that compare the host they call, as stock Thrift ones do.
#
# The subject says who somebody is: OU=troth-ROLE, CN=NAME. A service's name is its client_name; an agent's name is what
# `troth-agent init --name` is given, or the whole id that it prints; coordinators and operators are named freely.
#
# Not for production: the CA's key lies beside its certificates. There use your company's CA, or a CA of one cluster.
set -euo pipefail

readonly days=${TROTH_CA_DAYS:-365}

usage() {
  sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d' >&2
  exit 2
}

fail() {
  echo "dev-ca: $1" >&2
  exit 1
}

make_ca() { # DIR
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days "$((days * 5))" \
    -subj "/O=Troth development/CN=Troth development CA $(openssl rand -hex 4)" \
    -addext 'basicConstraints=critical,CA:TRUE,pathlen:0' -addext 'keyUsage=critical,keyCertSign,cRLSign' \
    -keyout "$1/ca.key" -out "$1/ca.pem" 2>/dev/null || fail "openssl could not make the CA in $1"
}

issue() { # DIR ROLE NAME HOST...
  local directory=$1 role=$2 name=$3
  shift 3
  case $role in
    service | operator) local usages=clientAuth ;;
    agent | coordinator) local usages=serverAuth,clientAuth ;; # both call, and are called
    database) local usages=serverAuth ;;                       # a server that agents call; nobody in Troth
    *) fail "no role '$role': take service, operator, agent, coordinator or database" ;;
  esac
  [[ $name =~ ^[A-Za-z0-9._-]{1,64}$ ]] || fail "'$name' is no name: 1 to 64 letters, digits, '-', '_' and '.'"
  local alternatives="DNS:localhost,IP:127.0.0.1,IP:::1" host
  for host in "$@"; do
    if [[ $host =~ ^[0-9.]+$ || $host == *:* ]]; then
      alternatives+=",IP:$host"
    else
      alternatives+=",DNS:$host"
    fi
  done
  local path=$directory/$role-$name
  # To a name of its own first: a process that reads its files again meets the old certificate or the new one.
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -subj "/OU=troth-$role/CN=$name" \
    -keyout "$path.key.new" -out "$path.csr" 2>/dev/null || fail "openssl could not make the key of $role $name"
  openssl x509 -req -in "$path.csr" -CA "$directory/ca.pem" -CAkey "$directory/ca.key" -days "$days" \
    -set_serial "0x$(openssl rand -hex 16)" -out "$path.pem.new" 2>/dev/null -extfile <(
      echo "basicConstraints=critical,CA:FALSE"
      echo "keyUsage=critical,digitalSignature"
      echo "extendedKeyUsage=$usages"
      echo "subjectAltName=$alternatives"
      echo "subjectKeyIdentifier=hash"
      echo "authorityKeyIdentifier=keyid"
    ) || fail "openssl could not sign the certificate of $role $name"
  rm "$path.csr"
  mv "$path.key.new" "$path.key"
  mv "$path.pem.new" "$path.pem"
  echo "$path.pem"
}

[ $# -eq 1 ] || [ $# -ge 3 ] || usage
[[ $1 != -* ]] || usage
command -v openssl >/dev/null || fail "no openssl here: apt-get install openssl"
umask 077
mkdir -p "$1"
if [ ! -e "$1/ca.pem" ]; then
  make_ca "$1"
  echo "$1/ca.pem"
fi
if [ $# -ge 3 ]; then
  issue "$@"
else
  issue "$1" coordinator coordinator
  issue "$1" agent agent
  issue "$1" service service
  issue "$1" operator operator
fi
