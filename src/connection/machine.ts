// The life of the line: which state it is in, and what each event makes of it.
// The one owner of "when does the next attempt start": poll, timer, platform hint and manual connect() all
// come through here, and only the state `waiting` can start one. It owns no socket, timer or request:
// it is told what they said and returns what they should do.

import { CommsError, TimeoutError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import {
  type CloseInfo,
  type ReconnectDecision,
  type ReconnectOptions,
  reconnectDecision,
} from './reconnect.ts'

/** What the other side is given to answer our close frame. */
export const CLOSE_TIMEOUT_MS = 5000

export interface LineOptions extends ReconnectOptions {
  readonly connectTimeout: number
  readonly stableAfter: number
  readonly healthInterval: number
  readonly healthUrl: string | false
}

export type LineState =
  | { readonly kind: 'idle' }
  /** `byHealth`: a healthy answer was the cause of this attempt. */
  | { readonly kind: 'connecting'; readonly deadline: number; readonly byHealth: boolean }
  | { readonly kind: 'open'; readonly stableAt: number; readonly byHealth: boolean }
  /** `pollAt`: when the health address is to be asked (next); `polling`: an answer is outstanding. */
  | { readonly kind: 'waiting'; readonly dueAt: number; readonly pollAt: number; readonly polling: boolean }
  | { readonly kind: 'closing'; readonly close: CloseInfo; readonly deadline: number }
  | { readonly kind: 'closed' }
  | { readonly kind: 'failed' }
  | { readonly kind: 'disposed' }

/** `idle | connecting | open | waiting | closing | closed | failed | disposed` */
export type ConnectionState = LineState['kind']

export type LineEvent =
  /** The app asks for a line now (or the constructor does). */
  | { readonly type: 'connect' }
  | { readonly type: 'opened' }
  /** The current socket ended, failed or could not be made: by error, close or verdict, whichever came first. */
  | { readonly type: 'ended'; readonly close: CloseInfo; readonly error?: Error | undefined }
  /** The health address answered. */
  | { readonly type: 'health'; readonly healthy: boolean }
  /** Ask the health address now. */
  | { readonly type: 'pollNow' }
  /** The platform hints that the network may be back. */
  | { readonly type: 'hint' }
  | { readonly type: 'close'; readonly code: number; readonly reason: string }
  | { readonly type: 'dispose' }
  /** Time has passed. */
  | { readonly type: 'wake' }

export type LineEffect =
  /** Ask for url and token, open a socket. */
  | { readonly do: 'attempt' }
  /** End the socket, or the attempt that is about to make one; nothing it still says counts. */
  | { readonly do: 'drop' }
  /** Begin the closing handshake. */
  | { readonly do: 'closeSocket'; readonly code: number; readonly reason: string }
  | { readonly do: 'poll' }
  | { readonly do: 'stopPoll' }
  | { readonly do: 'tellError'; readonly error: Error }
  | { readonly do: 'tellClose'; readonly close: CloseInfo }
  | { readonly do: 'tellReconnecting'; readonly attempt: number; readonly delay: number }
  | { readonly do: 'tellGivenUp'; readonly attempts: number }

const NOTHING: readonly LineEffect[] = []

function assertNever(event: never): never {
  throw new TypeError(`unknown event ${JSON.stringify(event)}`)
}

export class ConnectionMachine {
  state: LineState = { kind: 'idle' }
  /** Automatic attempts since the last stable line: manual ones do not count. */
  attempts = 0
  /** The health address said yes and the upgrade was refused all the same: then only the backoff decides. */
  #healthMisled = false
  readonly #options: LineOptions
  readonly #random: Random

  /** @param options read at every step, so that changes take effect */
  constructor(options: LineOptions, random: Random) {
    this.#options = options
    this.#random = random
  }

  /** When `wake` is due; `Infinity` for never. */
  get wakeAt(): number {
    const state = this.state
    switch (state.kind) {
      case 'connecting':
      case 'closing':
        return state.deadline
      case 'open':
        return state.stableAt
      case 'waiting':
        return state.polling ? state.dueAt : Math.min(state.dueAt, state.pollAt)
      default:
        return Infinity
    }
  }

  /** Takes one event; returns what is to be done, in order. */
  step(event: LineEvent, now: number): readonly LineEffect[] {
    if (this.state.kind === 'disposed') return NOTHING
    switch (event.type) {
      case 'connect':
        return this.#connect(now)
      case 'opened':
        if (this.state.kind !== 'connecting') return NOTHING
        this.state = {
          kind: 'open',
          stableAt: now + this.#options.stableAfter,
          byHealth: this.state.byHealth,
        }
        return NOTHING
      case 'ended':
        return this.#ended(event.close, event.error, now)
      case 'health':
        return this.#health(event.healthy, now)
      case 'pollNow':
        return this.#pollNow(now)
      case 'hint':
        return this.state.kind === 'waiting' ? this.#automatic(now, false) : NOTHING
      case 'close':
        return this.#close(event.code, event.reason, now)
      case 'dispose':
        return this.#dispose()
      case 'wake':
        return this.#wake(now)
      default:
        return assertNever(event)
    }
  }

  #connect(now: number): readonly LineEffect[] {
    const state = this.state
    switch (state.kind) {
      case 'waiting':
        return [{ do: 'stopPoll' }, ...this.#attempt(now, false)]
      case 'closing':
        this.attempts = 0
        return [
          { do: 'drop' },
          { do: 'tellClose', close: { ...state.close, wasClean: false } },
          ...this.#attempt(now, false),
        ]
      case 'idle':
      case 'closed':
      case 'failed':
        this.attempts = 0
        return this.#attempt(now, false)
      default:
        return NOTHING
    }
  }

  #attempt(now: number, byHealth: boolean): readonly LineEffect[] {
    this.state = { kind: 'connecting', deadline: now + this.#options.connectTimeout, byHealth }
    return [{ do: 'attempt' }]
  }

  /** An attempt that nobody asked for by hand: it counts. */
  #automatic(now: number, byHealth: boolean): readonly LineEffect[] {
    this.attempts += 1
    return [{ do: 'stopPoll' }, ...this.#attempt(now, byHealth)]
  }

  #ended(close: CloseInfo, error: Error | undefined, now: number): readonly LineEffect[] {
    const state = this.state
    const told: LineEffect[] = [{ do: 'drop' }]
    if (error) told.push({ do: 'tellError', error })
    told.push({ do: 'tellClose', close })
    switch (state.kind) {
      case 'connecting':
      case 'open':
        if (state.kind === 'open' && now >= state.stableAt) this.#stable()
        else this.#healthMisled ||= state.byHealth
        return [...told, ...this.#afterLoss(close, now)]
      case 'closing':
        this.state = { kind: 'closed' }
        return told
      default:
        return NOTHING
    }
  }

  #afterLoss(close: CloseInfo, now: number): readonly LineEffect[] {
    const options = this.#options
    let decision: ReconnectDecision
    const told: LineEffect[] = []
    try {
      decision = reconnectDecision(close, this.attempts, options, this.#random)
    } catch (error) {
      // The app's shouldReconnect threw: that is no reason to stay down.
      told.push({ do: 'tellError', error: error as Error })
      decision = reconnectDecision(
        close,
        this.attempts,
        { ...options, shouldReconnect: undefined },
        this.#random,
      )
    }
    switch (decision.action) {
      case 'stop':
        this.state = { kind: 'closed' }
        return told
      case 'giveUp':
        this.state = { kind: 'failed' }
        return [...told, { do: 'tellGivenUp', attempts: this.attempts }]
      case 'wait': {
        const { delayMs } = decision
        // A random phase: a fleet that lost its server at one instant must not come back in step.
        const pollAt = options.healthUrl === false ? Infinity : now + options.healthInterval * this.#random()
        this.state = { kind: 'waiting', dueAt: now + delayMs, pollAt, polling: false }
        return [...told, { do: 'tellReconnecting', attempt: this.attempts + 1, delay: delayMs }]
      }
    }
  }

  #stable(): void {
    this.attempts = 0
    this.#healthMisled = false
  }

  #health(healthy: boolean, now: number): readonly LineEffect[] {
    const state = this.state
    if (state.kind !== 'waiting' || !state.polling) return NOTHING
    if (healthy && !this.#healthMisled) return this.#automatic(now, true)
    // It has been down in between: a later yes is news again.
    if (!healthy) this.#healthMisled = false
    this.state = { ...state, polling: false, pollAt: now + this.#options.healthInterval }
    return NOTHING
  }

  #pollNow(now: number): readonly LineEffect[] {
    const state = this.state
    if (this.#options.healthUrl === false) return NOTHING
    if (state.kind === 'failed') {
      // Asked by hand for a line that was given up: no timer is left, only the poll.
      this.state = { kind: 'waiting', dueAt: Infinity, pollAt: now, polling: true }
      return [{ do: 'poll' }]
    }
    if (state.kind !== 'waiting' || state.polling) return NOTHING
    this.state = { ...state, polling: true }
    return [{ do: 'poll' }]
  }

  #close(code: number, reason: string, now: number): readonly LineEffect[] {
    const close = { code, reason, wasClean: true }
    switch (this.state.kind) {
      case 'open':
        this.state = { kind: 'closing', close, deadline: now + CLOSE_TIMEOUT_MS }
        return [{ do: 'closeSocket', code, reason }]
      case 'connecting':
        this.state = { kind: 'closed' }
        return [{ do: 'drop' }, { do: 'tellClose', close: { ...close, wasClean: false } }]
      case 'waiting':
        this.state = { kind: 'closed' }
        return [{ do: 'stopPoll' }, { do: 'tellClose', close }]
      case 'idle':
      case 'failed':
        this.state = { kind: 'closed' }
        return NOTHING
      default:
        return NOTHING
    }
  }

  #dispose(): readonly LineEffect[] {
    const { kind } = this.state
    this.state = { kind: 'disposed' }
    const close = { code: 1000, reason: 'disposed', wasClean: false }
    // A close frame, if it still goes out, spares the server from taking this for a broken line.
    const goodbye: readonly LineEffect[] =
      kind === 'open' ? [{ do: 'closeSocket', code: close.code, reason: '' }] : NOTHING
    const told: readonly LineEffect[] =
      kind === 'open' || kind === 'connecting' || kind === 'closing' ? [{ do: 'tellClose', close }] : NOTHING
    return [{ do: 'stopPoll' }, ...goodbye, { do: 'drop' }, ...told]
  }

  #wake(now: number): readonly LineEffect[] {
    const state = this.state
    if (now < this.wakeAt) return NOTHING
    switch (state.kind) {
      case 'connecting': {
        const timeoutMs = this.#options.connectTimeout
        const message = `the connection was not established within ${timeoutMs} ms`
        return this.#ended(
          { code: 1006, reason: 'connect timeout', wasClean: false },
          new TimeoutError(message, { phase: 'connect', timeoutMs, attempts: this.attempts + 1 }),
          now,
        )
      }
      case 'open':
        this.#stable()
        this.state = { kind: 'open', stableAt: Infinity, byHealth: false }
        return NOTHING
      case 'waiting':
        if (now >= state.dueAt) return this.#automatic(now, false)
        this.state = { ...state, polling: true }
        return [{ do: 'poll' }]
      case 'closing':
        return this.#ended(
          { ...state.close, wasClean: false },
          new CommsError(`the close frame was not answered within ${CLOSE_TIMEOUT_MS} ms`, {
            code: 'CONNECTION',
          }),
          now,
        )
      default:
        return NOTHING
    }
  }
}
