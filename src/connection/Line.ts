// Keeps one line up: carries out what the machine and the heartbeat decide, with one timer, one socket and one
// health request at a time. Sockets, clock and platform are handed in; it knows nothing of messages.

import type { Clock, TimerHandle } from '../core/clock.ts'
import { CommsError, TimeoutError } from '../core/errors.ts'
import type { Random } from '../core/random.ts'
import type { Frame, Payload } from './encoding.ts'
import { Heartbeat, type HeartbeatTiming, LATE_MS } from './heartbeat.ts'
import {
  ConnectionMachine,
  type ConnectionState,
  type LineEffect,
  type LineEvent,
  type LineOptions,
} from './machine.ts'
import type { CloseInfo } from './reconnect.ts'

/** A socket as the line needs it. After `drop` it must say nothing more to its sink, and raise nothing. */
export interface LineSocket {
  /** 1 while it takes frames, as in the WebSocket interface. */
  readonly readyState: number
  /** Bytes handed over that the network has not taken. */
  readonly bufferedAmount: number
  send(payload: Payload): void
  /** A frame has gone out: those that follow in this turn may go together at its end. Absent where nothing is gained. */
  gather?(): void
  /** Sends a protocol ping; absent where the platform has none. */
  protocolPing?(): void
  /** Begins the closing handshake. */
  close(code: number, reason: string): void
  /** Ends it now, in whatever state it is, without waiting for anybody. */
  drop(): void
}

/** What a socket reports. Of `ended` and `failed` it may call either, both or one twice. */
export interface SocketSink {
  opened(): void
  /** A frame came in: text, or bytes (as they lie in the receive buffer: copied only for who listens). */
  frame(data: Frame): void
  /** A ping or pong frame came in. */
  alive(): void
  ended(close: CloseInfo): void
  failed(error: Error): void
}

/** What the platform under a line offers beside sockets. */
export interface LinePlatform {
  /** Whether the address answers with a 2xx. Rejections count as no. */
  probe(url: string, signal: AbortSignal): Promise<boolean>
  /** Hints about the network; undefined where there are none. Returns what stops it. */
  watch(onHint: (hint: NetworkHint) => void): (() => void) | undefined
}

/** `back`: the network or the user has come back; `gone`: the platform says that it is offline. Never more than hints. */
export type NetworkHint = 'back' | 'gone'

export interface LineTiming extends LineOptions, HeartbeatTiming {
  readonly unref: boolean
  readonly clock: Clock
  readonly random: Random
}

/** What a line needs of its owner. */
export interface LineOwner<Address> {
  /** Finds out where to go; asked at every attempt. A rejection is a failed attempt. */
  address(): Promise<Address>
  /** Begins to open a socket. A throw is a failed attempt. */
  open(address: Address, sink: SocketSink): LineSocket
  /** The health address of the latest address; undefined when there is none. */
  readonly healthUrl: string | undefined
  frame(data: Frame): void
  /** Sends the app's own kind of ping, where the socket has none. */
  ping(socket: LineSocket): void
  /** Whether silence after such a ping means anything. */
  readonly silenceKills: boolean
  changed(state: ConnectionState, before: ConnectionState, close: CloseInfo | undefined): void
  stable(): void
  tell(effect: LineEffect): void
  /** The line is in order again: now listeners may be called. */
  settled(): void
  /** Duties of its own that need waking: when the next is due, and their turn. */
  readonly wakeAt: number
  wake(now: number): void
}

export class Line<Address> implements SocketSink {
  readonly #machine: ConnectionMachine
  readonly #owner: LineOwner<Address>
  readonly #timing: LineTiming
  readonly #clock: Clock
  readonly #platform: LinePlatform
  #socket: LineSocket | undefined
  #heartbeat: Heartbeat | undefined
  /** Counts the attempts: what an older one still brings is nobody's. */
  #generation = 0
  #timer: TimerHandle | undefined
  #armedAt = Infinity
  #armedWall = 0
  #poll: { readonly controller: AbortController; readonly timer: TimerHandle } | undefined
  #unwatch: (() => void) | undefined
  /** Milliseconds that the latest answered ping took. */
  latency: number | undefined

  constructor(owner: LineOwner<Address>, timing: LineTiming, platform: LinePlatform) {
    this.#machine = new ConnectionMachine(timing, timing.random)
    this.#owner = owner
    this.#timing = timing
    this.#clock = timing.clock
    this.#platform = platform
  }

  get state(): ConnectionState {
    return this.#machine.state.kind
  }

  get attempts(): number {
    return this.#machine.attempts
  }

  get buffered(): number {
    return this.#socket?.bufferedAmount ?? 0
  }

  /** Takes an event of the app: connect, close, dispose, pollNow. */
  step(event: LineEvent): void {
    const before = this.#machine.state.kind
    const effects = this.#machine.step(event, this.#clock.now())
    const state = this.#machine.state.kind
    let close: CloseInfo | undefined
    for (const effect of effects) {
      if (effect.do === 'tellClose') close = effect.close
      if (!isOutlook(effect)) this.#carryOut(effect)
    }
    if (state !== before) this.#entered(state, before, close)
    for (const effect of effects) if (isOutlook(effect)) this.#carryOut(effect)
    this.arm()
    this.#owner.settled()
  }

  /** Puts a frame on the wire: the one place where frames go out. Returns false when the line takes none. */
  write(payload: Payload): boolean {
    const socket = this.#socket
    if (this.#heartbeat === undefined || socket === undefined || socket.readyState !== 1) return false
    socket.send(payload)
    socket.gather?.()
    if (this.#heartbeat.awaitsSend) {
      this.#heartbeat.sent(this.#clock.now())
      this.arm()
    }
    return true
  }

  /** `pingInterval` was changed. */
  restartHeartbeat(): void {
    this.#heartbeat?.restart(this.#clock.now(), this.#timing)
    this.arm()
  }

  /**
   * Sees to it that the timer fires in time for the next duty. A timer that is armed too early stays: it fires,
   * finds nothing due and is armed anew, which costs less than moving it at every message.
   */
  arm(): void {
    const at = Math.min(
      this.#machine.wakeAt,
      this.#heartbeat?.wakeAt(this.#timing) ?? Infinity,
      this.#owner.wakeAt,
    )
    if (at === Infinity) {
      this.#disarm()
    } else if (at < this.#armedAt) {
      this.#disarm()
      const delay = Math.max(0, at - this.#clock.now())
      this.#armedAt = at
      this.#armedWall = this.#clock.wallNow() + delay
      this.#timer = this.#clock.setTimeout(() => this.#onTimer(), delay, this.#timing.unref)
    }
  }

  opened(): void {
    this.step({ type: 'opened' })
  }

  frame(data: Frame): void {
    this.#heard()
    this.#owner.frame(data)
  }

  alive(): void {
    this.#heard()
  }

  ended(close: CloseInfo): void {
    this.#end(close)
  }

  failed(error: Error): void {
    this.#end({ code: 1006, reason: error.message, wasClean: false }, error)
  }

  #end(close: CloseInfo, error?: Error): void {
    this.step({ type: 'ended', close, error })
  }

  #heard(): void {
    const heartbeat = this.#heartbeat
    if (heartbeat === undefined) return
    if (heartbeat.pinged) this.latency = heartbeat.sincePing(this.#clock.now())
    heartbeat.heard()
  }

  #carryOut(effect: LineEffect): void {
    switch (effect.do) {
      case 'attempt':
        void this.#attempt()
        break
      case 'drop':
        this.#drop()
        break
      case 'closeSocket':
        this.#socket?.close(effect.code, effect.reason)
        break
      case 'poll':
        void this.#startPoll()
        break
      case 'stopPoll':
        this.#stopPoll()
        break
      default:
        this.#owner.tell(effect)
    }
  }

  #entered(state: ConnectionState, before: ConnectionState, close: CloseInfo | undefined): void {
    this.#heartbeat = state === 'open' ? new Heartbeat(this.#clock.now(), this.#timing) : undefined
    // A line that is given up or closed must not be held by the page's listeners.
    if (state === 'closed' || state === 'failed' || state === 'disposed') {
      this.#unwatch?.()
      this.#unwatch = undefined
    } else {
      this.#unwatch ??= this.#platform.watch((hint) => this.#onHint(hint))
    }
    this.#owner.changed(state, before, close)
  }

  async #attempt(): Promise<void> {
    this.#generation += 1
    const generation = this.#generation
    try {
      // Not in the middle of a step: asking runs the app's code, which may close or dispose.
      await undefined
      if (generation !== this.#generation) return
      const address = await this.#owner.address()
      if (generation === this.#generation) this.#socket = this.#owner.open(address, this)
    } catch (error) {
      if (generation === this.#generation) this.failed(asError(error))
    }
  }

  #drop(): void {
    this.#generation += 1
    const socket = this.#socket
    this.#socket = undefined
    this.#heartbeat = undefined
    socket?.drop()
  }

  #onHint(hint: NetworkHint): void {
    if (this.#heartbeat === undefined) {
      if (hint === 'back') this.step({ type: 'hint' })
      return
    }
    this.#act(this.#heartbeat.probe(this.#clock.now(), this.#timing, this.buffered))
    this.arm()
  }

  #act(verdict: 'nothing' | 'ping' | 'dead'): void {
    const socket = this.#socket
    if (verdict === 'ping' && socket?.readyState === 1) {
      socket.protocolPing?.()
      this.#owner.ping(socket)
    }
    if (verdict === 'dead') {
      const timeoutMs = this.#timing.pongTimeout
      const message = `nothing was heard for ${timeoutMs} ms after a ping: the line is dead`
      this.#end(
        { code: 1006, reason: 'heartbeat timeout', wasClean: false },
        new TimeoutError(message, { phase: 'idle', timeoutMs }),
      )
    }
  }

  #onTimer(): void {
    const now = this.#clock.now()
    const late = now - this.#armedAt > LATE_MS || this.#clock.wallNow() - this.#armedWall > LATE_MS
    this.#timer = undefined
    this.#armedAt = Infinity
    const heartbeat = this.#heartbeat
    if (heartbeat) {
      const signs = { buffered: this.buffered, late, silenceKills: this.#silenceKills }
      this.#act(heartbeat.wake(now, this.#timing, signs))
    }
    this.#owner.wake(now)
    if (this.#machine.state.kind === 'open' && now >= this.#machine.wakeAt) this.#owner.stable()
    this.step({ type: 'wake' })
  }

  get #silenceKills(): boolean {
    return this.#socket?.protocolPing !== undefined || this.#owner.silenceKills
  }

  #disarm(): void {
    if (this.#timer !== undefined) this.#clock.clearTimeout(this.#timer)
    this.#timer = undefined
    this.#armedAt = Infinity
  }

  async #startPoll(): Promise<void> {
    const controller = new AbortController()
    const limitMs = Math.min(this.#timing.healthInterval, this.#timing.connectTimeout)
    const timer = this.#clock.setTimeout(() => controller.abort(), limitMs, this.#timing.unref)
    const poll = { controller, timer }
    this.#poll = poll
    let healthy = false
    try {
      // Not in the middle of a step.
      await undefined
      const url = this.#owner.healthUrl
      if (url !== undefined) healthy = await this.#platform.probe(url, controller.signal)
    } catch {
      // Unreachable, refused, unreadable for lack of CORS headers: all the same, no reason to hurry.
    }
    if (this.#poll !== poll) return
    this.#stopPoll()
    this.step({ type: 'health', healthy })
  }

  #stopPoll(): void {
    const poll = this.#poll
    if (!poll) return
    this.#poll = undefined
    this.#clock.clearTimeout(poll.timer)
    poll.controller.abort()
  }
}

/** What comes next is told after what has become: first `disconnected` and the new state, then `reconnecting`. */
function isOutlook(effect: LineEffect): boolean {
  return effect.do === 'tellReconnecting' || effect.do === 'tellGivenUp'
}

/** What the app's functions and the platform throw may be anything. */
function asError(error: unknown): Error {
  if (error instanceof CommsError || error instanceof TypeError) return error
  return new CommsError('the connection could not be opened', { code: 'CONNECTION', cause: error })
}
