// Keeps one line up: carries out what the machine and the heartbeat decide, with one timer, one socket and one
// health request at a time. Sockets, clock and platform are handed in; it knows nothing of messages.

import type { TimerHandle } from '../core/clock.ts'
import { CommsError, TimeoutError } from '../core/errors.ts'
import type { CloseDecision } from '../session/closeDecision.ts'
import { Destination } from './destination.ts'
import { encode, type Frame, type Payload } from './encoding.ts'
import { Heartbeat, type HeartbeatVerdict, LATE_MS } from './heartbeat.ts'
import type { LineSocket, NetworkHint, Platform, SocketSink } from './LineSocket.ts'
import { ConnectionMachine, type ConnectionState, type LineEffect, type LineEvent } from './machine.ts'
import type { ResolvedConnectionOptions } from './options.ts'
import type { CloseInfo } from './reconnect.ts'
import type { FailedUpgrade } from './subprotocolOffer.ts'

/** What is spoken on a line beyond the app's own frames: a session. */
export interface LineProtocol {
  /** The subprotocol to offer at an attempt; `undefined` for none. */
  offer(url: string): string | undefined
  /**
   * A socket is open. False: it has to be agreed upon first what is spoken; `step({ type: 'opened' })` follows.
   * @param token the app's, where it could not travel with the upgrade
   */
  onOpen(protocol: string, token: string | undefined): boolean
  /** The text of a ping; `undefined` when the current line is a plain one. */
  readonly ping: string | undefined
  /** Ends the conversation in its own way; false when the socket may be closed at once. */
  beginClose(disposed: boolean): boolean
}

/** What a line needs of its owner. */
export interface LineOwner {
  /** What is to be spoken, asked at every attempt; a rejection is a failed attempt. */
  protocol(): Promise<LineProtocol | undefined>
  frame(data: Frame): void
  numbered(number: number, text: string): void
  changed(state: ConnectionState, before: ConnectionState): void
  /**
   * Something to tell the listeners.
   * @param before the state before the step that brought it
   */
  tell(news: LineNews, before: ConnectionState): void
  /**
   * The line, or an attempt at one, has ended by itself: asked once for each.
   * @returns what is to follow; `undefined` where no session decides it
   */
  ended(close: CloseInfo, upgrade: FailedUpgrade): CloseDecision | undefined
  /** The line has proved good. */
  stable(): void
  /** A function of the app failed. */
  error(error: unknown): void
  /** The line is in order again: now listeners may be called. */
  settled(): void
  /** Duties of its own that need waking: when the next is due, and their turn. */
  readonly wakeAt: number
  wake(now: number): void
}

/** What a step tells the listeners. */
export type LineNews = Extract<LineEffect, { name: string }>

export class Line implements SocketSink {
  readonly #machine: ConnectionMachine
  readonly #owner: LineOwner
  readonly #options: ResolvedConnectionOptions
  readonly #platform: Platform
  readonly #destination: Destination
  #socket: LineSocket | undefined
  #heartbeat: Heartbeat | undefined
  /** The attempt that is under way; what an older one still brings is nobody's. */
  #attempting: object | undefined
  #protocol: LineProtocol | undefined
  #token: string | undefined
  #timer: TimerHandle | undefined
  #armedAt = Infinity
  #armedWall = 0
  #polling: AbortController | undefined
  #unwatch: (() => void) | undefined
  /** Whether anything came in since the line was open: a session's `opened` only opens it. */
  #heard = false
  /** Milliseconds that the latest answered ping took. */
  latency: number | undefined

  constructor(owner: LineOwner, options: ResolvedConnectionOptions, platform: Platform) {
    this.#machine = new ConnectionMachine(options, options.random)
    this.#owner = owner
    this.#options = options
    this.#destination = new Destination(options)
    this.#platform = platform
  }

  get state(): ConnectionState {
    return this.#machine.state.kind
  }

  get attempts(): number {
    return this.#machine.attempts
  }

  get buffered(): number {
    const socket = this.#socket
    return socket ? socket.bufferedAmount + (socket.gatheredBytes ?? 0) : 0
  }

  /** Takes an event of the app: connect, close, dispose, pollNow. */
  step(event: LineEvent): void {
    const before = this.state
    const effects = this.#machine.step(event, this.#now)
    let entered = this.state === before
    for (const effect of effects) {
      // What comes next is told after what has become: first `disconnected` and the new state, then `reconnecting`.
      if (!entered && effect.do === 'announce') {
        entered = true
        this.#entered(before)
      }
      this.#carryOut(effect, before)
    }
    if (!entered) this.#entered(before)
    this.arm()
    this.#owner.settled()
  }

  /** Puts a frame on the wire: the one place where frames go out. Returns false when the line takes none. */
  write(payload: Payload): boolean {
    const socket = this.#socket
    if (socket?.readyState !== 1) return false
    socket.send(payload)
    this.#wrote(socket)
    return true
  }

  /** The same for the text `number:text`, which a socket may be able to put together as it sends it. */
  writeNumbered(number: number, text: string): boolean {
    const socket = this.#socket
    if (!socket?.sendNumbered) return this.write(`${number}:${text}`)
    if (socket.readyState !== 1) return false
    socket.sendNumbered(number, text)
    this.#wrote(socket)
    return true
  }

  #wrote(socket: LineSocket): void {
    const heartbeat = this.#heartbeat
    socket.gather?.()
    if (heartbeat?.awaitsSend) {
      heartbeat.sent(this.#now)
      this.arm()
    }
  }

  /** `pingInterval` was changed. */
  restartHeartbeat(): void {
    this.#heartbeat?.restart(this.#now)
    this.arm()
  }

  /**
   * Sees to it that the timer fires in time for the next duty. A timer that is armed too early stays: it fires,
   * finds nothing due and is armed anew, which costs less than moving it at every message.
   */
  arm(): void {
    const at = Math.min(this.#machine.wakeAt, this.#heartbeat?.wakeAt ?? Infinity, this.#owner.wakeAt)
    if (at >= this.#armedAt && at < Infinity) return
    const { clock, unref } = this.#options
    clock.clearTimeout(this.#timer)
    this.#armedAt = at
    if (at === Infinity) return
    // In whole milliseconds, as timers are: the smallest fraction of one added to the time may not change it.
    const delay = Math.max(0, Math.ceil(at - clock.now()))
    this.#armedWall = clock.wallNow() + delay
    this.#timer = clock.setTimeout(() => this.#onTimer(), delay, unref)
  }

  opened(protocol: string): void {
    if (this.#protocol?.onOpen(protocol, this.#token) ?? true) this.step({ type: 'opened' })
  }

  /** Ends the connection with a code, without waiting for an answer. `decision`: what is to follow. */
  hangUp(code: number, reason: string, decision: CloseDecision, error?: Error): void {
    this.#socket?.beginClose(code, reason)
    this.step({ type: 'ended', close: { code, reason, wasClean: false }, error, decision })
  }

  frame(data: Frame): void {
    this.alive()
    this.#owner.frame(data)
  }

  numbered(number: number, text: string): void {
    this.alive()
    this.#owner.numbered(number, text)
  }

  alive(): void {
    this.#heard = true
    const heartbeat = this.#heartbeat
    if (!heartbeat) return
    if (heartbeat.pingedAt < Infinity && !this.#pongsTell) this.latency = this.#now - heartbeat.pingedAt
    heartbeat.heard()
  }

  /** The pong came that answers the session's ping of this moment. */
  answered(at: number): void {
    if (at <= this.#now) this.latency = this.#now - at
  }

  /** A pong of the app's own kind came. */
  sawPong(): void {
    this.#destination.sawPong()
  }

  ended(close: CloseInfo, error?: Error, upgrade: FailedUpgrade = 'unknown'): void {
    const { state } = this
    const decision =
      state === 'connecting' || state === 'open' ? this.#owner.ended(close, upgrade) : undefined
    this.step({ type: 'ended', close, error, heard: this.#heard, decision })
  }

  failed(error: Error, upgrade: FailedUpgrade): void {
    this.ended({ code: 1006, reason: error.message, wasClean: false }, error, upgrade)
  }

  get #now(): number {
    return this.#options.clock.now()
  }

  /** Whether a pong says which ping it answers. Else any frame after a ping has to do, also one that was on its way. */
  get #pongsTell(): boolean {
    return !this.#socket?.protocolPing && this.#protocol?.ping !== undefined
  }

  #carryOut(effect: LineEffect, before: ConnectionState): void {
    switch (effect.do) {
      case 'attempt':
        void this.#attempt()
        break
      case 'drop':
        this.#drop()
        break
      case 'expire':
        this.ended(effect.close, effect.error, 'unanswered')
        break
      case 'closeSocket':
        if (!this.#protocol?.beginClose(this.state === 'disposed'))
          this.#socket?.beginClose(effect.code, effect.reason)
        break
      case 'poll':
        void this.#poll()
        break
      case 'stopPoll':
        this.#polling?.abort()
        this.#polling = undefined
        break
      case 'stable':
        this.#owner.stable()
        break
      default:
        this.#owner.tell(effect, before)
    }
  }

  #entered(before: ConnectionState): void {
    const { state } = this
    this.#heard = false
    this.#heartbeat = state === 'open' ? new Heartbeat(this.#now, this.#options) : undefined
    // A line that is given up or closed must not be held by the page's listeners.
    if (state === 'closed' || state === 'failed' || state === 'disposed') {
      this.#unwatch?.()
      this.#unwatch = undefined
    } else {
      this.#unwatch ??= this.#platform.watch((hint) => this.#onHint(hint))
    }
    this.#owner.changed(state, before)
  }

  async #attempt(): Promise<void> {
    const attempt = {}
    this.#attempting = attempt
    try {
      // Not in the middle of a step: asking runs the app's code, which may close or dispose.
      await undefined
      if (attempt !== this.#attempting) return
      const { WebSocket, maxPayload, unref } = this.#options
      const able = this.#platform.sendsAuthorization && !WebSocket
      const protocol = await this.#owner.protocol()
      const { url, token } = await this.#destination.find(able || protocol !== undefined)
      if (attempt !== this.#attempting) return
      const offer = protocol?.offer(url)
      this.#protocol = protocol
      this.#token = able ? undefined : token
      this.#socket = this.#platform.open(
        {
          url,
          token: able ? token : undefined,
          protocols: offer === undefined ? [] : [offer],
          WebSocket,
          maxPayload,
          unref,
        },
        this,
      )
    } catch (error) {
      if (attempt === this.#attempting) this.failed(asError(error), 'unanswered')
    }
  }

  #drop(): void {
    const socket = this.#socket
    this.#attempting = undefined
    this.#socket = undefined
    this.#heartbeat = undefined
    socket?.drop()
  }

  #onHint(hint: NetworkHint): void {
    if (this.#heartbeat) {
      this.#act(this.#heartbeat.probe(this.#now, this.buffered))
      this.arm()
    } else if (hint === 'back') {
      this.step({ type: 'hint' })
    }
  }

  #act(verdict: HeartbeatVerdict): void {
    if (verdict === 'ping') this.#ping()
    if (verdict === 'dead') {
      const timeoutMs = this.#options.pongTimeout
      const message = `nothing was heard for ${timeoutMs} ms after a ping: the line is dead`
      this.ended(
        { code: 1006, reason: 'heartbeat timeout', wasClean: false },
        new TimeoutError(message, { phase: 'idle', timeoutMs }),
      )
    }
  }

  #ping(): void {
    const socket = this.#socket
    if (socket?.readyState !== 1) return
    socket.protocolPing?.()
    const sessionPing = this.#protocol?.ping
    if (sessionPing !== undefined) {
      if (!socket.protocolPing) socket.send(sessionPing)
      return
    }
    let { pingMessage, clock } = this.#options
    try {
      if (typeof pingMessage === 'function') pingMessage = pingMessage()
      if (pingMessage === undefined && !socket.protocolPing) {
        pingMessage = { type: 'ping', timestamp: clock.wallNow() }
      }
      if (pingMessage) socket.send(encode(pingMessage))
    } catch (error) {
      this.#owner.error(error)
    }
  }

  #onTimer(): void {
    const now = this.#now
    const wallLate = this.#options.clock.wallNow() - this.#armedWall
    const late = Math.max(now - this.#armedAt, wallLate) > LATE_MS
    this.#armedAt = Infinity
    const silenceKills =
      [this.#socket?.protocolPing, this.#protocol?.ping].some(Boolean) || this.#destination.answersPings
    const verdict = this.#heartbeat?.wake(now, { buffered: this.buffered, late, silenceKills })
    if (verdict) this.#act(verdict)
    this.#owner.wake(now)
    this.step({ type: 'wake' })
  }

  async #poll(): Promise<void> {
    const poll = new AbortController()
    this.#polling = poll
    let healthy = false
    try {
      // Not in the middle of a step.
      await undefined
      const url = this.#destination.healthUrl
      if (url !== undefined) healthy = await this.#platform.probe(url, poll.signal)
    } catch {
      // Unreachable, refused, unreadable for lack of CORS headers: all the same, no reason to hurry.
    }
    if (this.#polling !== poll) return
    this.#polling = undefined
    this.step({ type: 'health', healthy })
  }
}

/** What the app's functions and the platform throw may be anything. */
function asError(error: unknown): Error {
  if (error instanceof CommsError || error instanceof TypeError) return error
  return new CommsError('the connection could not be opened', { code: 'CONNECTION', cause: error })
}
