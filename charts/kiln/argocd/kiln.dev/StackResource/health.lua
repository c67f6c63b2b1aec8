-- Health of one OpenStack resource, for the resource tree. A Stack's own health does not depend on it.
local state, message = nil, ""
if obj.status ~= nil then
  state, message = obj.status.state, obj.status.message or ""
end
local of_state = {Ready = "Healthy", Failed = "Degraded"}
return {status = of_state[state] or "Progressing", message = message}
