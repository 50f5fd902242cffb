// One plain WebSocket of a user: frames in, deltas out, both bounded. What messages do is said by `UserTalk.ts`.

import type { RawData, WebSocket } from 'ws'
import { parseJson } from '../core/parseJson.ts'
import { TokenBucket } from '../policies/rateLimiter/TokenBucket.ts'
import type { ReplyDelta } from './Conversation.ts'
import type { Principal, ResolvedBackendOptions } from './options.ts'
import { type TalkContext, UserTalk } from './UserTalk.ts'
import { USER_JSON } from './userMessages.ts'

/** Below this much waiting in the socket, more may be written at once. */
const HIGH_WATER_BYTES = 64 * 1024

const TOO_SLOW = 1013
const POLICY = 1008
const GOING_AWAY = 1001

/** What all users of a backend have in common. */
export type UserContext = Omit<TalkContext, 'principal'>

export class UserSocket {
  readonly principal: Principal | undefined
  readonly #socket: WebSocket
  readonly #options: ResolvedBackendOptions
  readonly #bucket: TokenBucket
  readonly #talk: UserTalk
  /** Whether anything has come in since the last `probe`. */
  #heard = true

  constructor(socket: WebSocket, principal: Principal | undefined, { options, answers }: UserContext) {
    this.#socket = socket
    this.principal = principal
    this.#options = options
    this.#bucket = new TokenBucket(options.messagesPerSecond, 2 * options.messagesPerSecond, options.clock)
    this.#talk = new UserTalk(
      { options, principal, answers },
      {
        send: (message) => this.#send(message),
        say: (delta) => this.#say(delta),
      },
    )
    socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary))
    socket.on('ping', (data) => this.#onPing(data))
    socket.on('pong', () => this.#admit())
    // A frame that breaks the protocol or a limit: `ws` closes with the right code by itself.
    socket.on('error', (error) => options.logger?.debug('socket:', error.message))
    socket.on('close', () => this.#talk.end('silently'))
  }

  get conversation() {
    return this.#talk.conversation
  }

  /** Bytes of audio that have come in. */
  get audioBytes(): number {
    return this.#talk.audioBytes
  }

  /** Asks whether the other end is there; ends the socket when nothing has come since it was asked last. */
  probe(): void {
    if (!this.#heard) {
      this.#socket.terminate()
      return
    }
    this.#heard = false
    if (this.#isOpen) this.#socket.ping()
  }

  /** No more questions; when the running answer has ended, goodbye. */
  async leave(): Promise<void> {
    await this.conversation.finish()
    this.#socket.close(GOING_AWAY, 'the server is going away')
  }

  /** The answers that still run end now, as cut off. */
  endAnswers(): void {
    this.#talk.end('shutdown')
  }

  /** Gone at once, without a close frame. */
  cut(): void {
    this.#socket.terminate()
  }

  get #isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN
  }

  /** Whether a frame that came in may be looked at. */
  #admit(): boolean {
    this.#heard = true
    // Between our close frame and its answer, what still comes is for nobody.
    if (!this.#isOpen) return false
    if (this.#bucket.tryConsume()) return true
    this.#socket.close(POLICY, 'too many messages')
    return false
  }

  /** Answered by hand: `ws` would pile up pongs without bound for a client that pings and does not read. */
  #onPing(data: Buffer): void {
    if (this.#admit() && this.#hasRoom()) this.#socket.pong(data)
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (!this.#admit()) return
    if (isBinary) {
      this.#talk.audioBytes += (data as Buffer).length
      return
    }
    let message: unknown
    try {
      message = parseJson((data as Buffer).toString('utf8'), USER_JSON)
    } catch {
      this.#talk.refuse(undefined, 'this is no JSON, or holds too much of it')
      return
    }
    this.#talk.receive(message)
  }

  /** For what is not worth waiting for. */
  #send(message: object): void {
    if (this.#isOpen && this.#hasRoom()) this.#socket.send(JSON.stringify(message))
  }

  /** Whether more may be written at all; a reader that lets so much pile up is given up. */
  #hasRoom(): boolean {
    if (this.#socket.bufferedAmount <= this.#options.maxQueuedBytes) return true
    this.#giveUp()
    return false
  }

  /** The close frame stands behind all that was not read; `ws` ends the socket if it is not answered either. */
  #giveUp(): void {
    this.#socket.close(TOO_SLOW, 'too slow')
  }

  /** Resolves at once while there is room, else when the network has taken this delta. */
  #say(delta: ReplyDelta): Promise<void> {
    const socket = this.#socket
    if (!this.#isOpen) return Promise.reject(new Error('the socket is closed'))
    const text = JSON.stringify(delta)
    if (socket.bufferedAmount < HIGH_WATER_BYTES) {
      socket.send(text)
      return Promise.resolve()
    }
    const { clock, writeTimeout } = this.#options
    return new Promise((resolve, reject) => {
      const timer = clock.setTimeout(() => {
        this.#giveUp()
        reject(new Error(`nothing was read for ${writeTimeout} ms`))
      }, writeTimeout)
      socket.send(text, (error) => {
        clock.clearTimeout(timer)
        if (error) reject(error)
        else resolve()
      })
    })
  }
}
