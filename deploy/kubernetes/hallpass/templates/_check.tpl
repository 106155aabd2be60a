{{/* What the schema cannot say. Each message says what to set. */}}

{{- define "hallpass.check" -}}
{{- $v := .Values -}}
{{- $users := $v.authserver.database -}}
{{- $items := $v.resourceserver.items.database -}}
{{- $published := or $v.ingress.enabled $v.gateway.enabled -}}
{{- if and (not $users.cluster.enabled) (not $users.url) -}}
{{- fail "authserver.database: set cluster.enabled, or url" -}}
{{- end -}}
{{- range $where, $database := dict "authserver.database" $users "resourceserver.items.database" $items -}}
{{- include "hallpass.checkURL" (dict "where" (printf "%s.url" $where) "url" $database.url) -}}
{{- if and $database.cluster.enabled $database.url -}}
{{- fail (printf "%s: set either cluster.enabled or url, not both" $where) -}}
{{- end -}}
{{- if and $v.networkPolicy.enabled $database.url (not $database.peers) -}}
{{- fail (printf "%s.peers: say where the database of the URL is, such as - ipBlock: {cidr: 10.0.8.0/24}; without it the NetworkPolicy lets nobody reach it" $where) -}}
{{- end -}}
{{- end -}}
{{- if and $users.url (eq $users.url $items.url) -}}
{{- fail "resourceserver.items.database.url: it must differ from authserver.database.url; the API must not reach the users" -}}
{{- end -}}
{{- if $v.networkPolicy.enabled -}}
{{- $usersPorts := include "hallpass.databasePorts" $users | fromJsonArray -}}
{{- range include "hallpass.databasePorts" $items | fromJsonArray -}}
{{- if has . $usersPorts -}}
{{- range $peer := $items.peers -}}
{{- range $users.peers -}}
{{- if eq (toJson $peer) (toJson .) -}}
{{- fail "resourceserver.items.database.peers: the API could reach the users' database there; give the databases different servers or ports" -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $published (not $v.networkPolicy.ingressFrom) -}}
{{- fail "networkPolicy.ingressFrom: name the pods of the Ingress controller or Gateway, such as - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress-nginx}}" -}}
{{- end -}}
{{- if and $v.monitoring.serviceMonitor.enabled (not $v.networkPolicy.prometheusFrom) -}}
{{- fail "networkPolicy.prometheusFrom: name the pods of Prometheus, such as - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}" -}}
{{- end -}}
{{- if and $v.authserver.mail.url (not $v.authserver.mail.peers) -}}
{{- fail "authserver.mail.peers: say where the mail server is, such as - ipBlock: {cidr: 192.0.2.25/32}" -}}
{{- end -}}
{{- if and $v.resourceserver.keysURL (not $v.resourceserver.extraEgress) -}}
{{- fail "resourceserver.extraEgress: let the API reach resourceserver.keysURL, such as - {to: [{ipBlock: {cidr: 192.0.2.10/32}}], ports: [{protocol: TCP, port: 443}]}" -}}
{{- end -}}
{{- if and (or $users.cluster.enabled $items.cluster.enabled) (not $v.networkPolicy.databaseOperatorFrom) -}}
{{- fail "networkPolicy.databaseOperatorFrom: name the pods of CloudNativePG's operator, such as - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: cnpg-system}}" -}}
{{- end -}}
{{- with $v.monitoring.otlpEndpoint -}}
{{- $public := and $v.authserver.outgoingHTTPS (regexMatch "^https://[^:/]+(:443)?(/|$)" .) -}}
{{- range $name := list "authserver" "resourceserver" -}}
{{- if not (or (index $v $name).extraEgress (and $public (eq $name "authserver"))) -}}
{{- fail (printf "%s.extraEgress: let it reach monitoring.otlpEndpoint, such as - {to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: tracing}}}], ports: [{protocol: TCP, port: 4318}]}" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $published (not $v.trustedProxies) -}}
{{- fail "trustedProxies: name the networks of the pods of the Ingress controller or Gateway, such as 10.244.0.0/16; without them all users count as one address, and are throttled together" -}}
{{- end -}}
{{- if and $v.gateway.enabled (not $v.gateway.parentRefs) -}}
{{- fail "gateway.parentRefs: name the Gateway, such as - {name: public, namespace: gateways}" -}}
{{- end -}}
{{- if eq $v.issuer $v.audience -}}
{{- fail "audience: it must differ from issuer" -}}
{{- end -}}
{{- if and $v.authserver.mail.url (not (regexMatch "^smtps?://([^:/@]+@)?[^/@]+:[0-9]+$" $v.authserver.mail.url)) -}}
{{- fail "authserver.mail.url: it must be like smtps://USER@HOST:PORT; the password is in passwordSecret" -}}
{{- end -}}
{{- if and $v.authserver.mail.url (not $v.authserver.mail.from) -}}
{{- fail "authserver.mail.from: set the sender of emails" -}}
{{- end -}}
{{- if eq $v.keys.authserverSecret $v.keys.apiSecret -}}
{{- fail "keys.apiSecret: it must differ from keys.authserverSecret; the API must not have its private keys" -}}
{{- end -}}
{{- if $v.keys.externalSecrets.enabled -}}
{{- if not $v.keys.externalSecrets.store.name -}}
{{- fail "keys.externalSecrets.store.name: name the SecretStore or ClusterSecretStore" -}}
{{- end -}}
{{- if $v.keys.rotation.enabled -}}
{{- fail "keys.rotation.enabled: set it to false with External Secrets, which would undo the rotation; rotate the keys in the store" -}}
{{- end -}}
{{- end -}}
{{- range $name := list "authserver" "resourceserver" -}}
{{- with (index $v $name).autoscaling -}}
{{- if and .enabled (lt (int .maxReplicas) (int .minReplicas)) -}}
{{- fail (printf "%s.autoscaling.maxReplicas: it must not be less than minReplicas" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and $v.resourceserver.dpopNonceSecret.name (not $v.resourceserver.keysURL) -}}
{{- fail "resourceserver.dpopNonceSecret: it is only for resourceserver.keysURL; otherwise the secret comes from the keys" -}}
{{- end -}}
{{- include "hallpass.checkRotation" $v.keys.rotation -}}
{{- include "hallpass.checkSettings" . -}}
{{- end }}

{{/* The URL of a database. The messages do not repeat it: it may have a password. Takes where and url. */}}
{{- define "hallpass.checkURL" -}}
{{- if and .url (not (regexMatch "^postgres(ql)?://[^:/@?]+@[^/@?]+/[^/@?]*([?][^@]*)?$" .url)) -}}
{{- fail (printf "%s: it must be like postgres://USER@HOST/NAME?sslmode=verify-full; the password is in passwordSecret" .where) -}}
{{- end -}}
{{- if regexMatch "[?&](host|port|(ssl)?password)=" .url -}}
{{- fail (printf "%s: hosts and ports are before the name of the database, such as postgres://USER@HOST:PORT/NAME; the password is in passwordSecret" .where) -}}
{{- end -}}
{{- end }}

{{/* Takes keys.rotation. */}}
{{- define "hallpass.checkRotation" -}}
{{- if .enabled -}}
{{- $seconds := 0 -}}
{{- range regexFindAll "[0-9]+[hms]" .signsAfter -1 -}}
{{- $unit := get (dict "h" 3600 "m" 60 "s" 1) (regexFind "[hms]" .) -}}
{{- $seconds = add $seconds (mul (regexFind "[0-9]+" .) $unit) -}}
{{- end -}}
{{- if lt (int $seconds) 120 -}}
{{- fail "keys.rotation.signsAfter: it must be at least 2m, because Kubernetes needs about two minutes to bring the new key to every pod" -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Settings of the authorization server that need others. Its pods would stop, or the setting would do nothing. */}}
{{- define "hallpass.checkSettings" -}}
{{- $tier := .Values.authserver -}}
{{- $on := dict -}}
{{- range $name := keys ($tier.settings | default dict) -}}
{{- $_ := set $on $name (include "hallpass.settingOn" (dict "settings" $tier.settings "name" $name)) -}}
{{- end -}}
{{- $replica := get $on "HALLPASS_DATABASE_REPLICA_URL" -}}
{{- include "hallpass.checkURL" (dict "where" "authserver.settings.HALLPASS_DATABASE_REPLICA_URL" "url" $replica) -}}
{{- if regexMatch "@[^/]*," $replica -}}
{{- fail "authserver.settings.HALLPASS_DATABASE_REPLICA_URL: it must have one host" -}}
{{- end -}}
{{- if and (get $on "HALLPASS_SIGNUP") (not $tier.mail.url) -}}
{{- fail "authserver.mail.url: HALLPASS_SIGNUP needs a mail server" -}}
{{- end -}}
{{- if and (get $on "HALLPASS_SIGNUP_DOMAINS") (ne (get $on "HALLPASS_SIGNUP") "open") -}}
{{- fail "authserver.settings.HALLPASS_SIGNUP_DOMAINS: it needs HALLPASS_SIGNUP: open" -}}
{{- end -}}
{{- $token := eq (get $on "HALLPASS_REGISTRATION") "token" -}}
{{- if and $token (not $tier.registrationTokenSecret.name) -}}
{{- fail "authserver.registrationTokenSecret.name: HALLPASS_REGISTRATION: token needs the Secret with the initial access token" -}}
{{- end -}}
{{- if and $tier.registrationTokenSecret.name (not $token) -}}
{{- fail "authserver.registrationTokenSecret: it is only for the setting HALLPASS_REGISTRATION: token" -}}
{{- end -}}
{{- range list "HALLPASS_ADMIN_NETWORKS" "HALLPASS_ADMIN_WITHOUT_SECOND_FACTOR" -}}
{{- if and (get $on .) (not (get $on "HALLPASS_ADMIN_CONSOLE")) -}}
{{- fail (printf "authserver.settings.%s: it needs HALLPASS_ADMIN_CONSOLE: \"true\"" .) -}}
{{- end -}}
{{- end -}}
{{- if and (get $on "HALLPASS_CLIENT_DOCUMENTS") .Values.networkPolicy.enabled (not $tier.outgoingHTTPS) (not $tier.extraEgress) -}}
{{- fail "authserver.outgoingHTTPS: set it to true, because HALLPASS_CLIENT_DOCUMENTS lets the server fetch documents; or allow their addresses in authserver.extraEgress" -}}
{{- end -}}
{{- end }}
