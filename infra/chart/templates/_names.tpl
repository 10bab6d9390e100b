{{- define "orders.name" -}}
{{- if eq .Release.Name .Chart.Name -}}
{{ .Chart.Name }}
{{- else -}}
{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end -}}

{{/* What never changes: selectors. */}}
{{- define "orders.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "orders.labels" -}}
{{ include "orders.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{/* The image of (root, colour): the colour's own tag and digest, or else the newest. */}}
{{- define "orders.image" -}}
{{- $image := .root.Values.image -}}
{{- $own := .colour | default dict -}}
{{- $tag := $own.tag | default $image.tag -}}
{{- $digest := ternary $own.digest ($own.digest | default $image.digest) (not (empty $own.tag)) -}}
{{ $image.repository }}:{{ $tag }}{{ with $digest }}@{{ . }}{{ end }}
{{- end -}}

{{/* The settings of one process: (root, own). Secrets by reference only. */}}
{{- define "orders.env" -}}
{{- /* Not `merge`: it takes a false or a 0 for nothing. */}}
{{- $settings := dict }}
{{- range tuple .root.Values.settings .own }}
{{- range $name, $value := . }}
{{- /* A large number is not to be written as 2.097152e+06. */}}
{{- $_ := set $settings $name (ternary (printf "%v" $value) (toJson $value) (kindIs "string" $value)) }}
{{- end }}
{{- end }}
{{- range $name, $value := $settings }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
- name: ORDERS_HOST
  value: {{ .root.Values.host | quote }}
- name: ORDERS_PORT
  value: "8000"
- name: ORDERS_METRICS_PORT
  value: "9464"
- name: ORDERS_DRAIN_SECONDS
  value: {{ .root.Values.api.drainSeconds | quote }}
{{- $elsewhere := keys $settings }}
{{- range .root.Values.extraEnv }}
{{- $elsewhere = append $elsewhere .name }}
{{- end }}
{{- $secret := .root.Values.existingSecret }}
{{- range $name, $isOptional := include "orders.secrets" .root | fromYaml }}
{{- if has $name $.root.Values.secretFiles }}
- name: {{ $name }}_FILE
  value: /etc/orders/secrets/{{ $name }}
{{- else if not (or (has $name $elsewhere) (has (printf "%s_FILE" $name) $elsewhere)) }}
{{- if $secret }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ $name }}{{ if $isOptional }}, optional: true{{ end }}}
{{- else if not $isOptional }}
{{- fail (printf "%s comes from nowhere: name existingSecret, or set %s_FILE" $name $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .root.Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* The settings that are secrets, and whether they may be missing. */}}
{{- define "orders.secrets" -}}
{{ .Files.Get "secrets.yaml" }}
{{- end -}}

{{/* A pod that may nothing: (root, component). */}}
{{- define "orders.pod" -}}
automountServiceAccountToken: false
# Otherwise a Service called "orders" puts its address into ORDERS_PORT.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
volumes:
  # Several processes share their metrics in files.
  - name: tmp
    emptyDir: {medium: Memory, sizeLimit: 64Mi}
  {{- if .root.Values.secretFiles }}
  - name: secrets
    secret:
      secretName: {{ required "secretFiles are keys of existingSecret: name it" .root.Values.existingSecret }}
      items:
        {{- range .root.Values.secretFiles }}
        - {key: {{ . }}, path: {{ . }}}
        {{- end }}
  {{- end }}
  {{- with .root.Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "orders.spread" -}}
topologySpreadConstraints:
  {{- range tuple "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- $.selector | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end -}}

{{- define "orders.container" -}}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  {{- if .root.Values.secretFiles }}
  - {name: secrets, mountPath: /etc/orders/secrets, readOnly: true}
  {{- end }}
  {{- with .root.Values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .root.Values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
