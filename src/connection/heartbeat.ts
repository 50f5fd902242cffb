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

const NONE = -1

export class Heartbeat {
  #nextPingAt: number
  /** When the oldest ping left that no frame has followed. */
  #pingedAt = NONE
  #bufferedAtPing = 0
  /** When the oldest send left that no frame has followed. */
  #sentAt = NONE
  #excused = false

  constructor(now: number, timing: HeartbeatTiming) {
    this.#nextPingAt = now + timing.pingInterval
  }

  /** A frame came in: whatever it is, it is life. Called for every frame, so it reads no clock. */
  heard(): void {
    this.#pingedAt = NONE
    this.#sentAt = NONE
    this.#excused = false
  }

  /** Whether a send is the first since the last frame: only that one has to be timed. */
  get awaitsSend(): boolean {
    return this.#sentAt === NONE
  }

  /** A message went out at `now`. */
  sent(now: number): void {
    if (this.#sentAt === NONE) this.#sentAt = now
  }

  /** Whether a ping is out that no frame has followed. */
  get pinged(): boolean {
    return this.#pingedAt !== NONE
  }

  /** Milliseconds since that ping. */
  sincePing(now: number): number {
    return now - this.#pingedAt
  }

  /** `pingInterval` was changed: it counts from now. */
  restart(now: number, timing: HeartbeatTiming): void {
    this.#nextPingAt = now + timing.pingInterval
  }

  /** When it has to be woken. */
  wakeAt(timing: HeartbeatTiming): number {
    if (timing.pingInterval === Infinity) return Infinity
    if (this.#pingedAt !== NONE) return Math.min(this.#nextPingAt, this.#pingedAt + timing.pongTimeout)
    return this.#sentAt === NONE ? this.#nextPingAt : Math.min(this.#nextPingAt, this.#sentAt + UNHEARD_MS)
  }

  /** Time has passed: is a ping due, or is the line dead? */
  wake(now: number, timing: HeartbeatTiming, signs: LineSigns): HeartbeatVerdict {
    if (timing.pingInterval === Infinity) return 'nothing'
    if (signs.late) {
      // Nothing could be heard while this process did not run: ask again, with a whole pongTimeout to answer.
      // Once only, or a tab whose every timer is late would never notice a dead line.
      const silent = this.#pingedAt !== NONE && now - this.#pingedAt >= timing.pongTimeout
      if (this.#excused && silent && signs.silenceKills) return 'dead'
      this.#excused = true
      return this.probe(now, timing, signs.buffered)
    }
    if (this.#pingedAt !== NONE && now - this.#pingedAt >= timing.pongTimeout) {
      const drained = signs.buffered < this.#bufferedAtPing
      if (signs.silenceKills && !drained) return 'dead'
      if (drained) {
        // The ping may stand behind a large message on a slow link: as long as that moves, so does the line.
        this.#pingedAt = now
        this.#bufferedAtPing = signs.buffered
      } else {
        this.#pingedAt = NONE
      }
    }
    const unheard = this.#pingedAt === NONE && this.#sentAt !== NONE && now - this.#sentAt >= UNHEARD_MS
    return unheard || now >= this.#nextPingAt ? this.#ping(now, timing, signs.buffered) : 'nothing'
  }

  /** Asks at once, and gives a whole `pongTimeout` to answer: after sleep, or when the platform hints at a change. */
  probe(now: number, timing: HeartbeatTiming, buffered: number): HeartbeatVerdict {
    if (timing.pingInterval === Infinity) return 'nothing'
    this.#pingedAt = NONE
    return this.#ping(now, timing, buffered)
  }

  #ping(now: number, timing: HeartbeatTiming, buffered: number): HeartbeatVerdict {
    if (this.#pingedAt === NONE) {
      this.#pingedAt = now
      this.#bufferedAtPing = buffered
    }
    this.#sentAt = NONE
    this.#nextPingAt = now + timing.pingInterval
    return 'ping'
  }
}
