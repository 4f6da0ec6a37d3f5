/**
 * Scripts of the Redis store. Each touches keys of one hash slot only, takes time from Redis, and can be sent again without
 * harm when its answer was lost.
 */
export interface Script {
  readonly lua: string;
  readonly numberOfKeys: number;
}

const NOW = `
local time = redis.call('TIME')
local nowMs = time[1] * 1000 + math.floor(time[2] / 1000)
`;

/** Whether the lease in the hash `key` is held under `fence`. */
const HOLDS_LEASE = `
local function holdsLease(key, fence)
  local lease = redis.call('HMGET', key, 'fence', 'until')
  return lease[1] == fence and tonumber(lease[2] or 0) > nowMs
end
`;

/** Fields that say which dispatches of an execution may still come about. */
const DISPATCHES = `
local PREFIX = 'dispatch:'
local function dispatchesIn(key)
  local found = {}
  for _, field in ipairs(redis.call('HKEYS', key)) do
    if string.sub(field, 1, #PREFIX) == PREFIX then found[#found + 1] = string.sub(field, #PREFIX + 1) end
  end
  return found
end
`;

/**
 * Binds an executionId to the first agent that asks for it.
 *
 * KEYS  1 owner of the execution (hash)
 * ARGV  1 agentId  2 dispatchId  3 how long it is remembered, ms
 * Returns the agentId it is bound to.
 */
const own: Script = {
  numberOfKeys: 1,
  lua: `
local owner = redis.call('HGET', KEYS[1], 'agentId')
if owner and owner ~= ARGV[1] then return owner end
redis.call('HSET', KEYS[1], 'agentId', ARGV[1], 'dispatch:' .. ARGV[2], 1)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return ARGV[1]`,
};

/**
 * Gives up what dispatches had bound; the last one sets the executionId free.
 *
 * KEYS  1 owner of the execution (hash)
 * ARGV  dispatchIds
 * Returns 1 when the executionId is free, else 0.
 */
const disown: Script = {
  numberOfKeys: 1,
  lua: `${DISPATCHES}
for _, dispatchId in ipairs(ARGV) do redis.call('HDEL', KEYS[1], PREFIX .. dispatchId) end
if #dispatchesIn(KEYS[1]) > 0 then return 0 end
redis.call('DEL', KEYS[1])
return 1`,
};

/**
 * Notes a dispatch.
 *
 * KEYS  1 record (hash)  2 open executions of the agent (sorted set)
 * ARGV  1 executionId  2 createdAt  3 journalId or ''  4 limits, JSON  5 dispatchId
 * Returns 1, or 0 when the execution has a conclusion.
 */
const put: Script = {
  numberOfKeys: 2,
  lua: `
if redis.call('HEXISTS', KEYS[1], 'outcome') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'createdAt', ARGV[2], 'journalId', ARGV[3], 'limits', ARGV[4], 'dispatch:' .. ARGV[5], 1)
redis.call('ZADD', KEYS[2], ARGV[2], ARGV[1])
return 1`,
};

/**
 * Takes a dispatch back.
 *
 * KEYS  1 record (hash)  2 open executions of the agent (sorted set)
 * ARGV  1 executionId  2 dispatchId
 * Returns 1 when no record is left, 0 when it stays: it has a conclusion, or there is another dispatch.
 */
const withdraw: Script = {
  numberOfKeys: 2,
  lua: `${DISPATCHES}
redis.call('HDEL', KEYS[1], PREFIX .. ARGV[2])
if redis.call('HEXISTS', KEYS[1], 'outcome') == 1 or #dispatchesIn(KEYS[1]) > 0 then return 0 end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1`,
};

/**
 * Forgets a record without a conclusion that was not put again since it was read.
 *
 * KEYS  1 record (hash)  2 open executions of the agent (sorted set)  3 agent (hash)
 * ARGV  1 executionId  2 createdAt  3 fence
 * Returns 'stale_fence', or the dispatchIds that are forgotten with it; none when it stays.
 */
const forget: Script = {
  numberOfKeys: 3,
  lua: `${NOW}${HOLDS_LEASE}${DISPATCHES}
if not holdsLease(KEYS[3], ARGV[3]) then return 'stale_fence' end
local present = redis.call('HMGET', KEYS[1], 'createdAt', 'outcome')
if present[2] or (present[1] and present[1] ~= ARGV[2]) then return {} end
local dispatches = dispatchesIn(KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return dispatches`,
};

/**
 * Records how an execution ended, frees what it held on its agent, and claims the handling of it. What is presumed stays among
 * the open ones until it is handled, as no agent sends it again.
 *
 * KEYS  1 record (hash)  2 open executions of the agent (sorted set)  3 agent (hash)
 * ARGV  1 executionId  2 acceptedAt  3 status  4 outcome, JSON  5 the same, marked as corrected  6 end, JSON
 *       7 fence or ''  8 claimant  9 how long the claim lasts, ms
 * Returns 'stale_fence', or {outcome, end, limits, claim or '', ms for which somebody else has claimed it, '1' if handled}.
 */
const record: Script = {
  numberOfKeys: 3,
  lua: `${NOW}${HOLDS_LEASE}
if ARGV[7] ~= '' and not holdsLease(KEYS[3], ARGV[7]) then return 'stale_fence' end

local present = redis.call('HGET', KEYS[1], 'status')
if not present or (present == 'lost' and ARGV[3] ~= 'lost') then
  if redis.call('HEXISTS', KEYS[1], 'createdAt') == 0 then
    redis.call('HSET', KEYS[1], 'createdAt', ARGV[2], 'journalId', '', 'limits', '[]')
  end
  local outcome = ARGV[4]
  if present then outcome = ARGV[5] end
  redis.call('HSET', KEYS[1], 'status', ARGV[3], 'outcome', outcome, 'end', ARGV[6], 'handled', '0')
  redis.call('HDEL', KEYS[1], 'claim', 'holder', 'until', 'handledUnder')
  redis.call('PERSIST', KEYS[1])
  if ARGV[3] == 'lost' then
    redis.call('ZADD', KEYS[2], redis.call('HGET', KEYS[1], 'createdAt'), ARGV[1])
  else
    redis.call('ZREM', KEYS[2], ARGV[1])
  end
end

local held = redis.call('HMGET', KEYS[1], 'outcome', 'end', 'limits', 'handled', 'claim', 'holder', 'until')
local conclusion = { held[1], held[2], held[3] or '[]' }
if held[4] == '1' then return { conclusion[1], conclusion[2], conclusion[3], '', '0', '1' } end

local claim, isRunning = held[5], tonumber(held[7] or 0) > nowMs
if isRunning and held[6] ~= ARGV[8] then
  return { conclusion[1], conclusion[2], conclusion[3], '', tostring(held[7] - nowMs), '0' }
end
if not isRunning then claim = tostring(redis.call('HINCRBY', KEYS[1], 'claims', 1)) end
redis.call('HSET', KEYS[1], 'claim', claim, 'holder', ARGV[8], 'until', string.format('%.0f', nowMs + ARGV[9]))
return { conclusion[1], conclusion[2], conclusion[3], claim, '0', '0' }`,
};

/**
 * KEYS  1 record (hash)
 * ARGV  1 claim
 * Returns 1 when it was held.
 */
const releaseClaim: Script = {
  numberOfKeys: 1,
  lua: `
if redis.call('HGET', KEYS[1], 'claim') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'claim', 'holder', 'until')
return 1`,
};

/**
 * Notes that an outcome was handled; from then on the record is kept for a while only.
 *
 * KEYS  1 record (hash)  2 open executions of the agent (sorted set)
 * ARGV  1 executionId  2 claim  3 how long the record is kept, ms
 * Returns 1, or 0 when the claim is not held any more.
 */
const markHandled: Script = {
  numberOfKeys: 2,
  lua: `${NOW}
local held = redis.call('HMGET', KEYS[1], 'handledUnder', 'claim', 'until')
if held[1] == ARGV[2] then return 1 end
if held[2] ~= ARGV[2] or tonumber(held[3] or 0) <= nowMs then return 0 end
redis.call('HSET', KEYS[1], 'handled', '1', 'handledUnder', ARGV[2])
redis.call('HDEL', KEYS[1], 'claim', 'holder', 'until')
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1`,
};

/**
 * Notes that an agent can be reached.
 *
 * KEYS  1 agent (hash)
 */
const touch: Script = {
  numberOfKeys: 1,
  lua: `${NOW}
return redis.call('HSET', KEYS[1], 'seenAt', string.format('%.0f', nowMs))`,
};

/**
 * KEYS  1 agent (hash)
 * Returns for how long it was not seen, ms; -1: it never was.
 */
const unseen: Script = {
  numberOfKeys: 1,
  lua: `${NOW}
local seenAt = redis.call('HGET', KEYS[1], 'seenAt')
if not seenAt then return -1 end
return math.max(0, nowMs - seenAt)`,
};

/**
 * Leases an agent to one holder at a time. A fence is a time in microseconds, so that those of a store which has lost
 * everything are higher than the ones it issued before, which sidecars remember.
 *
 * KEYS  1 agent (hash)
 * ARGV  1 holder  2 how long the lease lasts, ms  3 a fence that this one has to be above
 * Returns the fence, or '' when somebody else holds the lease.
 */
const acquireLease: Script = {
  numberOfKeys: 1,
  lua: `${NOW}
local lease = redis.call('HMGET', KEYS[1], 'holder', 'until', 'fence')
local isRunning = tonumber(lease[2] or 0) > nowMs
if isRunning and lease[1] ~= ARGV[1] then return '' end
local last, above = tonumber(lease[3] or 0), tonumber(ARGV[3])
local fence = last
if not isRunning or last <= above then
  fence = math.max(last + 1, above + 1, time[1] * 1000000 + time[2])
end
local text = string.format('%.0f', fence)
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'until', string.format('%.0f', nowMs + ARGV[2]), 'fence', text)
return text`,
};

/**
 * KEYS  1 agent (hash)
 * ARGV  1 fence
 * Returns 1 when the lease was held under it.
 */
const releaseLease: Script = {
  numberOfKeys: 1,
  lua: `
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then return 0 end
redis.call('HDEL', KEYS[1], 'holder', 'until')
return 1`,
};

/**
 * Takes a permit of a limit.
 *
 * KEYS  1 permits of the limit (sorted set, by when they were taken)
 * ARGV  1 executionId  2 how many there are at most
 * Returns 1 when the execution holds one, else 0.
 */
const takePermit: Script = {
  numberOfKeys: 1,
  lua: `${NOW}
if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 1 end
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
redis.call('ZADD', KEYS[1], string.format('%.0f', nowMs), ARGV[1])
return 1`,
};

/**
 * KEYS  1 permits of the limit (sorted set)
 * Returns executionId and ms since it was taken, of each, in one row.
 */
const permits: Script = {
  numberOfKeys: 1,
  lua: `${NOW}
local row = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for n = 2, #row, 2 do row[n] = string.format('%.0f', math.max(0, nowMs - row[n])) end
return row`,
};

/**
 * Replaces a document if it still is as it was read.
 *
 * KEYS  1 document (hash)
 * ARGV  1 the version that was read, or ''  2 new version  3 new value, JSON
 * Returns 1, or 0 when somebody else has replaced it.
 */
const writeDocument: Script = {
  numberOfKeys: 1,
  lua: `
local version = redis.call('HGET', KEYS[1], 'version') or ''
if version == ARGV[2] then return 1 end
if version ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', ARGV[2], 'value', ARGV[3])
return 1`,
};

export const SCRIPTS = {
  own,
  disown,
  put,
  withdraw,
  forget,
  record,
  releaseClaim,
  markHandled,
  touch,
  unseen,
  acquireLease,
  releaseLease,
  takePermit,
  permits,
  writeDocument,
} as const satisfies Record<string, Script>;

export type ScriptName = keyof typeof SCRIPTS;
