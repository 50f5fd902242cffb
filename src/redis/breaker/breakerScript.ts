// What a fleet knows of one backend, as one step of the engine on the engine's own clock: open or closed, and who probes.
//
// Every change has a higher version than all before, also than those that the engine has lost: the time is part of it.

import type { BreakerSnapshot } from '../../policies/circuitBreaker/breakerMachine.ts'
import type { RedisArgument, RedisReply } from '../RedisEngine.ts'
import { Script } from '../Script.ts'

/** What a process has to say or to ask. */
export type BreakerWord =
  | 'read'
  /** It has seen enough to open it for `openMs`; an open one stays as it is. */
  | 'open'
  /** Its time is over: may this process probe, for at most `openMs`? */
  | 'probe'
  /** How its probe went. `failed` opens it anew for `openMs`, whoever says so. */
  | 'succeeded'
  | 'failed'
  | 'ignored'
  /** By hand: closed, or open until it is closed by hand. */
  | 'reset'
  | 'isolate'

export interface BreakerRequest {
  readonly word: BreakerWord
  /** Milliseconds: see the words. */
  readonly openMs: number
  readonly openings: number
  /** How many probes have to succeed. */
  readonly probes: number
}

/** How it stands with the backend, as the fleet knows it. */
export interface BreakerNews extends BreakerSnapshot {
  /** 0: nobody has ever said anything, or the engine has forgotten. */
  readonly version: number
}

/** What a process is answered. */
export interface BreakerFacts extends BreakerNews {
  /** This process may probe. */
  readonly granted: boolean
  /** Milliseconds until the probe that is under way must be over; 0 when there is none. */
  readonly probingMs: number
  /** The engine's clock, in milliseconds. */
  readonly now: number
}

export const BREAKER = new Script(
  'the shared breaker',
  `local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local id, word = ARGV[1], ARGV[2]
local openMs, openings, probes = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local kept = redis.call('HMGET', KEYS[1], 'version', 'state', 'till', 'openings', 'prober', 'proberTill', 'succeeded')
local version, state, till = tonumber(kept[1] or 0), kept[2], tonumber(kept[3] or 0)
local known, prober, proberTill = tonumber(kept[4] or 0), kept[5] or '', tonumber(kept[6] or 0)
local succeeded = tonumber(kept[7] or 0)
if prober ~= '' and proberTill <= now then prober = '' end

local function left() return state == 'ISOLATED' and -1 or state == 'OPEN' and math.max(0, till - now) or 0 end
local function write(changed)
  if changed then version = math.max(version + 1, now) end
  redis.call('HSET', KEYS[1], 'version', version, 'state', state, 'till', till, 'openings', known,
    'prober', prober, 'proberTill', proberTill, 'succeeded', succeeded)
  if state == 'ISOLATED' then redis.call('PERSIST', KEYS[1])
  else redis.call('PEXPIRE', KEYS[1], 3600000 + left()) end
  if changed then
    redis.call('PUBLISH', ARGV[6], version .. ' ' .. (state == 'CLOSED' and 'CLOSED' or 'OPEN') .. ' ' .. left() .. ' ' .. known)
  end
end
local function open()
  state, till, known, prober, succeeded = 'OPEN', now + openMs, openings, '', 0
  write(true)
end

-- Who looks keeps it alive; and where nothing may be written, that is found out now and not when it is needed.
if state ~= 'ISOLATED' then redis.call('PEXPIRE', KEYS[1], 3600000 + left()) end

local granted = 0
if word == 'isolate' then
  state, known, prober, succeeded = 'ISOLATED', 0, '', 0
  write(true)
elseif word == 'reset' then
  state, till, known, prober, succeeded = 'CLOSED', 0, 0, '', 0
  write(true)
elseif state == 'ISOLATED' then
  -- Only a hand opens it.
elseif word == 'open' then
  if state ~= 'OPEN' or (till <= now and prober == '') then open() end
elseif word == 'failed' then
  if state ~= 'OPEN' or till <= now then open() end
elseif word == 'probe' then
  if state == false then state, till, known, version = 'OPEN', now, openings, now end
  if state == 'OPEN' and till <= now and (prober == '' or prober == id) then
    granted, prober, proberTill = 1, id, now + openMs
    write(false)
  end
elseif prober == id and (word == 'succeeded' or word == 'ignored') then
  prober = ''
  if word == 'succeeded' then
    succeeded = succeeded + 1
    if succeeded >= probes then
      state, till, known, succeeded = 'CLOSED', 0, 0, 0
      write(true)
    else write(false) end
  else write(false) end
end
local probing = prober ~= '' and math.max(0, proberTill - now) or 0
return { version, state == 'OPEN' and 1 or state == 'ISOLATED' and 2 or 0, left(), known, granted, probing, now }`,
)

/** @param channel where changes are published: not a key, for clients may put something before those */
export function breakerArguments(
  id: string,
  channel: string,
  { word, openMs, openings, probes }: BreakerRequest,
): RedisArgument[] {
  return [id, word, ...[Math.ceil(openMs), openings, probes].map(String), channel]
}

export function breakerReply(reply: RedisReply): BreakerFacts {
  const [version, state, left, openings, granted, probingMs, now] = reply as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  return {
    version,
    state: state === 0 ? 'CLOSED' : 'OPEN',
    remainingMs: state === 2 ? null : left,
    openings,
    granted: granted === 1,
    probingMs,
    now,
  }
}

/** What was published: `undefined` when it is nothing of this kind. */
export function breakerMessage(message: Uint8Array): BreakerNews | undefined {
  const text = new TextDecoder().decode(message)
  const [, version, state, left, openings] = /^(\d+) (OPEN|CLOSED) (-?\d+) (\d+)$/.exec(text) ?? []
  if (version === undefined) return undefined
  return {
    version: Number(version),
    state: state as 'OPEN' | 'CLOSED',
    remainingMs: Number(left) < 0 ? null : Number(left),
    openings: Number(openings),
  }
}
