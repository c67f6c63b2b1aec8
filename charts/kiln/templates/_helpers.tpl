{{- define "kiln.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{- define "kiln.fullname" -}}
{{- $name := include "kiln.name" . -}}
{{- if .Values.fullnameOverride -}}
{{ .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains $name .Release.Name -}}
{{ .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else -}}
{{ printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "kiln.selector" -}}
app.kubernetes.io/name: {{ include "kiln.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kiln.labels" -}}
{{ include "kiln.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: kiln
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "kiln.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "kiln.fullname" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{/* The pods: one works for each shard, the others stand by for all of them. */}}
{{- define "kiln.replicas" -}}
{{- if gt (int .Values.replicas) 0 }}{{ sub (add (int .Values.replicas) (int .Values.shards)) 1 }}{{ else }}0{{ end }}
{{- end }}

{{- define "kiln.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{/* What restricted pod security asks for. */}}
{{- define "kiln.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "kiln.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{/* Whether there are certificates to be trusted besides the public ones. */}}
{{- define "kiln.hasCABundle" -}}
{{- if and .Values.caBundle.configMapName .Values.caBundle.secretName }}{{ fail "caBundle: give configMapName or secretName, not both" }}{{ end }}
{{- if or .Values.caBundle.configMapName .Values.caBundle.secretName }}true{{ end }}
{{- end }}

{{/* What the operator does with Stacks and what they refer to, in each namespace that it serves. */}}
{{- define "kiln.rules" -}}
# A Stack's spec is the user's alone; the rights to patch are for its finalizer, and for its status. Child Stacks
# (OS::Heat::Stack) are made, changed and deleted.
- apiGroups: [kiln.dev]
  resources: [stacks]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [kiln.dev]
  resources: [stackresources, stackrevisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [kiln.dev]
  resources: [stackresources]
  verbs: [deletecollection]
- apiGroups: [kiln.dev]
  resources: [stackhistories]
  verbs: [get, list, create, patch, delete]
- apiGroups: [kiln.dev]
  resources: [stackoperations]
  verbs: [get, list, watch, delete]
- apiGroups: [kiln.dev]
  resources: [stackchangesets]
  verbs: [get, list, watch, create, delete]
- apiGroups: [kiln.dev]
  resources: [stacksnapshots]
  verbs: [get, list, watch, patch, delete]
- apiGroups: [kiln.dev]
  resources: [stacks/status, stackresources/status, stackrevisions/status, stackoperations/status, stackchangesets/status, stacksnapshots/status]
  verbs: [patch]
# Inputs are read: templates, environments, files, parameters. Those that spec.outputsTo of a Stack names are written.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, patch, delete]
# Inputs and credentials are read. A Stack's own Secrets (its key, hidden parameters of its revisions, outputs) are written; RBAC has
# no way to say "those with an owner".
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}
