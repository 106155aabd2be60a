{{/* The names and labels of all objects. */}}

{{- define "hallpass.name" -}}
{{- ternary .Release.Name (printf "%s-hallpass" .Release.Name) (contains "hallpass" .Release.Name) | trunc 40 | trimSuffix "-" -}}
{{- end }}

{{/* Labels that select pods. They never change. Takes the root and a component. */}}
{{- define "hallpass.selector" -}}
app.kubernetes.io/name: hallpass
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "hallpass.labels" -}}
{{ include "hallpass.selector" . }}
app.kubernetes.io/version: {{ .root.Values.image.tag | default .root.Chart.AppVersion | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "hallpass.image" -}}
{{- with .root.Values.image.registry }}{{ trimSuffix "/" . }}/{{ end -}}
hallpass-{{ .program }}:{{ .root.Values.image.tag | default .root.Chart.AppVersion }}
{{- with get (.root.Values.image.digests | default dict) .program }}@{{ . }}{{ end }}
{{- end }}

{{- define "hallpass.host" -}}
{{- get (urlParse .) "host" -}}
{{- end }}
