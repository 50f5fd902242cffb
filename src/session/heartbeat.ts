// Whether the connection of a session is alive. Any frame that came in is life; a ping asks for one, and silence after
// it means death. One state per connection: it goes with it, so that a late alarm can never end the next one.

/** Plain data, so that a state can be compared and copied. */
export interface HeartbeatState {
  /** Milliseconds of silence that make a ping due; 0 for no heartbeat. */
  intervalMs: number
  /** When something was heard last, or the connection began. */
  heardAt: number
  /** When the ping left that nothing has followed; `UNASKED` when none did. */
  pingedAt: number
}

export const UNASKED = -1

/** A wake-up this much late was held up: the machine slept, or the thread was busy, so that silence proves nothing. */
const LATE_MS = 1000

export function newHeartbeat(intervalMs: number, now: number): HeartbeatState {
  return { intervalMs, heardAt: now, pingedAt: UNASKED }
}

/** The interval of both wishes that holds: the shorter one; 0 is no wish. */
export function agreedInterval(own: number, others: number): number {
  return own === 0 ? others : others === 0 ? own : Math.min(own, others)
}

/** A frame came in. */
export function heard(state: HeartbeatState, now: number): void {
  state.heardAt = now
  state.pingedAt = UNASKED
}

/** When it has to be woken. */
export function heartbeatDueAt(state: HeartbeatState, pongTimeout: number): number {
  if (state.intervalMs === 0) return Infinity
  return state.pingedAt === UNASKED ? state.heardAt + state.intervalMs : state.pingedAt + pongTimeout
}

/** Time has passed. On `ping` one is sent, on `dead` the connection is dropped. */
export function heartbeatDue(
  state: HeartbeatState,
  pongTimeout: number,
  now: number,
): 'nothing' | 'ping' | 'dead' {
  const dueAt = heartbeatDueAt(state, pongTimeout)
  if (now < dueAt) return 'nothing'
  // Late: what came in meanwhile may wait to be read. Asked anew, it has a whole pongTimeout for an answer.
  if (state.pingedAt !== UNASKED && now - dueAt <= LATE_MS) return 'dead'
  state.pingedAt = now
  return 'ping'
}
