-- Health of a Stack: the conditions count only for the generation that Kiln has seen.
-- Stalled: nothing changes until somebody changes something. Reconciling: work goes on, or is tried again by itself.
local function condition(kind)
  for _, found in ipairs(obj.status.conditions or {}) do
    if found.type == kind then
      return found
    end
  end
  return {}
end

local function health(status, because)
  local message = because.message or ""
  if because.reason ~= nil and because.reason ~= "" and status ~= "Healthy" then
    message = because.reason .. ": " .. message
  end
  return {status = status, message = message}
end

if obj.status == nil or obj.status.observedGeneration ~= obj.metadata.generation then
  return {status = "Progressing", message = "Waiting for Kiln to see this generation"}
end

if condition("Paused").status == "True" then
  return {status = "Suspended", message = condition("Paused").message}
end
local stalled, reconciling, ready = condition("Stalled"), condition("Reconciling"), condition("Ready")
if stalled.status == "True" then
  return health("Degraded", stalled)
end
if reconciling.status == "True" then
  return health("Progressing", reconciling)
end
if ready.status == "True" and condition("Suspended").status == "True" then
  return {status = "Suspended", message = condition("Suspended").message}
end
if ready.status == "True" then
  return health("Healthy", ready)
end
if ready.status == "False" and ready.reason == "AwaitingApproval" then
  return {status = "Suspended", message = ready.message}
end
if ready.status == "False" then
  return health("Degraded", ready)
end
return {status = "Progressing", message = "Waiting for the first conditions"}
