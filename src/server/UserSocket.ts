// One plain WebSocket of a user: frames in, deltas out, both bounded. What messages do is said by `UserTalk.ts`.

import type { Socket } from 'node:net'
import type { RawData, WebSocket } from 'ws'
import { parseJson } from '../core/parseJson.ts'
import { TokenBucket } from '../policies/rateLimiter/TokenBucket.ts'
import type { ReplyDelta } from './Conversation.ts'
import { type Holder, ITEM_COST, type MemoryBudget, ownerOf } from './MemoryBudget.ts'
import type { Principal, ResolvedBackendOptions } from './options.ts'
import { SendBacklog } from './SendBacklog.ts'
import { type TalkContext, UserTalk } from './UserTalk.ts'
import { USER_JSON } from './userMessages.ts'

/** Below this much waiting in the socket, more may be written at once. */
const HIGH_WATER_BYTES = 64 * 1024

const TOO_SLOW = 1013
const POLICY = 1008
const GOING_AWAY = 1001

/** What all users of a backend have in common. */
export interface UserContext extends Omit<TalkContext, 'principal'> {
  readonly budget: MemoryBudget
}

export class UserSocket implements Holder {
  readonly principal: Principal | undefined
  readonly owner: string
  readonly #socket: WebSocket
  readonly #backlog: SendBacklog
  readonly #budget: MemoryBudget
  /** What has come of a message that is not there as a whole yet, at what it costs. */
  #received = 0
  readonly #options: ResolvedBackendOptions
  readonly #bucket: TokenBucket
  readonly #talk: UserTalk
  /** Whether anything has come in since the last `probe`. */
  #heard = true

  /** @param tcp what carries `socket` */
  constructor(
    socket: WebSocket,
    tcp: Socket,
    principal: Principal | undefined,
    { options, answers, budget }: UserContext,
  ) {
    this.#socket = socket
    this.principal = principal
    this.owner = ownerOf(principal, tcp.remoteAddress)
    this.#options = options
    this.#budget = budget
    this.#backlog = new SendBacklog(socket, () => options.clock.now())
    this.#bucket = new TokenBucket(options.messagesPerSecond, 2 * options.messagesPerSecond, options.clock)
    this.#talk = new UserTalk(
      { options, principal, answers },
      {
        send: (message) => this.#send(message),
        pong: (message) => this.#pong(message),
        say: (delta) => this.#say(delta),
      },
    )
    // Before `ws` looks at it: a message that is whole then takes it off again.
    tcp.prependListener('data', (chunk: Buffer) => this.#onData(chunk))
    socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary))
    socket.on('ping', (data) => this.#onPing(data))
    socket.on('pong', () => void this.#admit())
    // A frame that breaks the protocol or a limit: `ws` closes with the right code by itself.
    socket.on('error', (error) => options.logger?.debug('socket:', error.message))
    socket.on('close', () => {
      this.#talk.end('silently')
      budget.hold(this, 0)
    })
  }

  get conversation() {
    return this.#talk.conversation
  }

  /** Bytes of audio that have come in. */
  get audioBytes(): number {
    return this.#talk.audioBytes
  }

  /** Bytes that its other end makes us hold. */
  measure(): number {
    return this.#backlog.cost + this.#received + this.conversation.waitingBytes
  }

  /** Too much is held in all, and most of it for this one. */
  giveUp(): void {
    this.#socket.terminate()
  }

  /** Asks whether the other end is there; ends the socket when nothing has come since it was asked last. */
  probe(): void {
    // Who sends and does not read is no better than who is not there.
    if (!this.#heard || this.#backlog.stuckMs > this.#options.writeTimeout) {
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
    this.#received = 0
    // Between our close frame and its answer, what still comes is for nobody.
    if (!this.#isOpen) return false
    if (this.#bucket.tryConsume()) return true
    this.#socket.close(POLICY, 'too many messages')
    return false
  }

  #onData(chunk: Buffer): void {
    this.#received += chunk.length + ITEM_COST
    this.#budget.hold(this, this.measure())
  }

  /** Answered by hand: `ws` would pile up pongs without bound for a client that pings and does not read. */
  #onPing(data: Buffer): void {
    if (!this.#admit() || !this.#hasRoom()) return
    // A copy: what came is a slice of a larger piece.
    const copy = Buffer.from(data)
    this.#backlog.writeLatest('pong', (written) => this.#socket.pong(copy, false, written))
  }

  #pong(message: object): void {
    if (!this.#isOpen || !this.#hasRoom()) return
    const text = JSON.stringify(message)
    this.#backlog.writeLatest('message', (written) => this.#socket.send(text, written))
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
    if (this.#isOpen && this.#hasRoom()) this.#write(JSON.stringify(message))
  }

  #write(text: string): void {
    this.#backlog.flush()
    this.#socket.send(text, this.#backlog.writing())
    this.#budget.hold(this, this.measure())
  }

  /** Whether more may be written at all; a reader that lets so much pile up is given up. */
  #hasRoom(): boolean {
    if (this.#backlog.cost <= this.#options.maxQueuedBytes) return true
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
      this.#write(text)
      return Promise.resolve()
    }
    this.#backlog.flush()
    const { clock, writeTimeout } = this.#options
    return new Promise((resolve, reject) => {
      const timer = clock.setTimeout(() => {
        this.#giveUp()
        reject(new Error(`nothing was read for ${writeTimeout} ms`))
      }, writeTimeout)
      const written = this.#backlog.writing()
      socket.send(text, (error) => {
        written?.()
        clock.clearTimeout(timer)
        if (error) reject(error)
        else resolve()
      })
    })
  }
}
