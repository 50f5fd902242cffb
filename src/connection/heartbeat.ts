// Whether an open line is alive: when to ask, and when silence means that it is dead.
// One object per open line: it goes with it, so that a late alarm can never end the next one.
// It knows neither what a ping looks like nor the socket; it is told of frames and of the time.

/** A send that nothing has followed for this long makes the next ping due at once. */
export const UNHEARD_MS = 5000

/** A timer this much late, on either clock, was held up: the machine slept, the tab was throttled, the thread was busy. */
export const LATE_MS = 1000

/** The options it follows. */
export interface HeartbeatTiming {
  /** Milliseconds from ping to ping; `Infinity` turns the heartbeat off. */
  readonly pingInterval: number
  /** Milliseconds of silence after a ping that mean death. */
  readonly pongTimeout: number
}

/** What the line shows when the heartbeat wakes. */
export interface LineSigns {
  /** Bytes that wait in the socket: fewer than before is a sign of life too, since somebody took them. */
  readonly buffered: number
  /** Whether this wake-up came far too late, so that silence proves nothing. */
  readonly late: boolean
  /** Whether silence counts at all: not for JSON pings to a server that has never answered one. */
  readonly silenceKills: boolean
}

export type HeartbeatVerdict = 'nothing' | 'ping' | 'dead'

const NEVER = Infinity

export class Heartbeat {
  readonly #timing: HeartbeatTiming
  #nextPingAt = 0
  /** When the oldest ping left that no frame has followed. */
  #pingedAt = NEVER
  #bufferedAtPing = 0
  /** When the oldest send left that no frame has followed. */
  #sentAt = NEVER
  #excused = false

  /** @param timing read at every step, so that changes take effect */
  constructor(now: number, timing: HeartbeatTiming) {
    this.#timing = timing
    this.restart(now)
  }

  /** A frame came in: whatever it is, it is life. Called for every frame, so it reads no clock. */
  heard(): void {
    this.#pingedAt = NEVER
    this.#sentAt = NEVER
    this.#excused = false
  }

  /** Whether a send is the first since the last frame: only that one has to be timed. */
  get awaitsSend(): boolean {
    return this.#sentAt === NEVER
  }

  /** A message went out at `now`. */
  sent(now: number): void {
    if (this.awaitsSend) this.#sentAt = now
  }

  /** When the ping left that no frame has followed; `Infinity` when there is none. */
  get pingedAt(): number {
    return this.#pingedAt
  }

  /** The next ping is due an interval from now. */
  restart(now: number): void {
    this.#nextPingAt = now + this.#timing.pingInterval
  }

  /** When it has to be woken. */
  get wakeAt(): number {
    const { pingInterval, pongTimeout } = this.#timing
    if (pingInterval === Infinity) return NEVER
    const answerAt = this.#pingedAt < NEVER ? this.#pingedAt + pongTimeout : this.#sentAt + UNHEARD_MS
    return Math.min(this.#nextPingAt, answerAt)
  }

  /** Time has passed: is a ping due, or is the line dead? */
  wake(now: number, { buffered, late, silenceKills }: LineSigns): HeartbeatVerdict {
    if (this.#timing.pingInterval === Infinity) return 'nothing'
    const silent = now - this.#pingedAt >= this.#timing.pongTimeout
    if (late) {
      // Nothing could be heard while this process did not run: ask again, with a whole pongTimeout to answer.
      // Once only, or a tab whose every timer is late would never notice a dead line.
      if (this.#excused && silent && silenceKills) return 'dead'
      this.#excused = true
      return this.probe(now, buffered)
    }
    if (silent) {
      // The ping may stand behind a large message on a slow link: as long as that moves, so does the line.
      const drained = buffered < this.#bufferedAtPing
      if (silenceKills && !drained) return 'dead'
      this.#pingedAt = drained ? now : NEVER
      this.#bufferedAtPing = buffered
    }
    const unheard = this.#pingedAt === NEVER && now - this.#sentAt >= UNHEARD_MS
    return unheard || now >= this.#nextPingAt ? this.#ping(now, buffered) : 'nothing'
  }

  /** Asks at once, and gives a whole `pongTimeout` to answer: after sleep, or when the platform hints at a change. */
  probe(now: number, buffered: number): HeartbeatVerdict {
    if (this.#timing.pingInterval === Infinity) return 'nothing'
    this.#pingedAt = NEVER
    return this.#ping(now, buffered)
  }

  #ping(now: number, buffered: number): HeartbeatVerdict {
    if (this.#pingedAt === NEVER) {
      this.#pingedAt = now
      this.#bufferedAtPing = buffered
    }
    this.#sentAt = NEVER
    this.restart(now)
    return 'ping'
  }
}
