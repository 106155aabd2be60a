{{/* The settings of the servers, as environment variables. */}}

{{- define "hallpass.serverEnv" -}}
{{- $v := .root.Values -}}
{{- $tier := index $v .component -}}
- name: HALLPASS_ISSUER
  value: {{ $v.issuer | quote }}
- name: HALLPASS_AUDIENCE
  value: {{ $v.audience | quote }}
- name: HALLPASS_DRAIN_DELAY
  value: {{ printf "%ds" (int $v.stop.drainSeconds) }}
- name: HALLPASS_STOP_TIMEOUT
  value: {{ printf "%ds" (int $v.stop.timeoutSeconds) }}
- name: HALLPASS_LOG_FORMAT
  value: {{ $v.log.format }}
- name: HALLPASS_LOG_LEVEL
  value: {{ $v.log.level }}
{{- with $v.trustedProxies }}
- name: HALLPASS_TRUSTED_PROXIES
  value: {{ join "," . | quote }}
{{- end }}
{{- with $v.monitoring.otlpEndpoint }}
- name: HALLPASS_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- range $name, $_ := $tier.settings }}
{{- $value := include "hallpass.setting" (dict "settings" $tier.settings "name" $name) }}
{{- if and $value (eq $name "HALLPASS_DATABASE_REPLICA_URL") }}
{{- $value = include "hallpass.withAuthority" (dict "url" $value "database" $tier.database) }}
{{- end }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* A setting as text, or nothing. Numbers have no exponent. YAML reads off as false. Takes settings and name. */}}
{{- define "hallpass.setting" -}}
{{- $value := get (.settings | default dict) .name -}}
{{- if kindIs "string" $value -}}
{{- $value -}}
{{- else if and (not $value) (has .name (list "HALLPASS_CLIENT_DOCUMENTS" "HALLPASS_REGISTRATION" "HALLPASS_SIGNUP")) -}}
off
{{- else -}}
{{- toJson $value -}}
{{- end -}}
{{- end }}

{{/* The same, but nothing for a setting that turns something off. */}}
{{- define "hallpass.settingOn" -}}
{{- $value := include "hallpass.setting" . -}}
{{- if not (has (lower $value) (list "off" "false" "0" "no")) -}}
{{- $value -}}
{{- end -}}
{{- end }}

{{/* The origin of the API's docs page, as browsers write it; nothing if the page is off. Takes the root. */}}
{{- define "hallpass.docsOrigin" -}}
{{- $settings := .Values.resourceserver.settings | default dict -}}
{{- if or (not (hasKey $settings "HALLPASS_DOCS")) (include "hallpass.settingOn" (dict "settings" $settings "name" "HALLPASS_DOCS")) -}}
{{- $url := include "hallpass.setting" (dict "settings" $settings "name" "HALLPASS_PUBLIC_URL") | default .Values.audience -}}
{{- regexFind "^https?://[^/?#]+" (lower $url) | trimSuffix (ternary ":443" ":80" (hasPrefix "https:" (lower $url))) -}}
{{- end -}}
{{- end }}

{{/* A URL with a parameter, unless it has it. Takes the url, and the name and value of the parameter. */}}
{{- define "hallpass.withParameter" -}}
{{- .url -}}
{{- if not (contains (printf "%s=" .name) .url) -}}
{{ ternary "&" "?" (contains "?" .url) }}{{ .name }}={{ .value }}
{{- end -}}
{{- end }}

{{/*
A database: its URL, its Secrets. Takes root, database and name (users or items). With one host, a server leaves a
primary that has become read-only because of target_session_attrs.
*/}}
{{- define "hallpass.databaseURL" -}}
{{- $url := .database.url -}}
{{- if .database.cluster.enabled -}}
{{- $url = printf "postgres://hallpass@%s-%s-rw/hallpass?sslmode=verify-full" (include "hallpass.name" .root) .name -}}
{{- end -}}
{{- $url = include "hallpass.withParameter" (dict "url" $url "name" "target_session_attrs" "value" "read-write") -}}
{{- include "hallpass.withAuthority" (dict "url" $url "database" .database) -}}
{{- end }}

{{/* A URL with the authority of the database's certificate, if it has one of its own. Takes url and database. */}}
{{- define "hallpass.withAuthority" -}}
{{- if or .database.cluster.enabled .database.caSecret.name -}}
{{- include "hallpass.withParameter" (dict "url" .url "name" "sslrootcert" "value" "/etc/hallpass/database-ca/ca.crt") -}}
{{- else -}}
{{- .url -}}
{{- end -}}
{{- end }}

{{- define "hallpass.databaseEnv" -}}
- name: {{ .prefix }}_URL
  value: {{ include "hallpass.databaseURL" . | quote }}
{{- if or .database.cluster.enabled .database.passwordSecret.name }}
- name: {{ .prefix }}_PASSWORD_FILE
  value: /etc/hallpass/database/password
{{- end }}
{{- end }}

{{- define "hallpass.databaseVolumes" -}}
{{- $cluster := printf "%s-%s" (include "hallpass.name" .root) .name -}}
{{- if .database.cluster.enabled }}
{{ include "hallpass.secretVolume" (dict "volume" "database" "secret" (printf "%s-app" $cluster) "key" "password" "file" "password") }}
{{ include "hallpass.secretVolume" (dict "volume" "database-ca" "secret" (printf "%s-ca" $cluster) "key" "ca.crt" "file" "ca.crt") }}
{{- else }}
{{- with .database.passwordSecret }}{{ if .name }}
{{ include "hallpass.secretVolume" (dict "volume" "database" "secret" .name "key" .key "file" "password") }}
{{- end }}{{ end }}
{{- with .database.caSecret }}{{ if .name }}
{{ include "hallpass.secretVolume" (dict "volume" "database-ca" "secret" .name "key" .key "file" "ca.crt") }}
{{- end }}{{ end }}
{{- end }}
{{- end }}

{{- define "hallpass.databaseMounts" -}}
{{- if or .database.cluster.enabled .database.passwordSecret.name }}
- name: database
  mountPath: /etc/hallpass/database
  readOnly: true
{{- end }}
{{- if or .database.cluster.enabled .database.caSecret.name }}
- name: database-ca
  mountPath: /etc/hallpass/database-ca
  readOnly: true
{{- end }}
{{- end }}
