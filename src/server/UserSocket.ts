// One WebSocket of a user: checks what comes in, keeps what goes out bounded, and hands questions to the conversation.

import type { RawData, WebSocket } from 'ws'
import { TokenBucket } from '../policies/rateLimiter/TokenBucket.ts'
import { Conversation, type ReplyDelta } from './Conversation.ts'
import type { Faults } from './faults.ts'
import type { Principal, ResolvedBackendOptions } from './options.ts'
import type { Question } from './responder.ts'

/** Below this much waiting in the socket, more may be written at once. */
const HIGH_WATER_BYTES = 64 * 1024
/** The longest text of a question, in UTF-16 code units, as clients keep it, too. */
const MAX_TEXT_LENGTH = 100_000
const MAX_ID_LENGTH = 200

export class UserSocket {
  readonly conversation: Conversation
  readonly principal: Principal | undefined
  /** Bytes of audio that have come in. */
  audioBytes = 0
  readonly #socket: WebSocket
  readonly #options: ResolvedBackendOptions
  readonly #faults: Faults
  readonly #bucket: TokenBucket
  /** Messages are looked at one after the other, also when latency is injected. */
  #inbox: Promise<void> = Promise.resolve()

  constructor(
    socket: WebSocket,
    principal: Principal | undefined,
    options: ResolvedBackendOptions,
    faults: Faults,
  ) {
    this.#socket = socket
    this.principal = principal
    this.#options = options
    this.#faults = faults
    this.#bucket = new TokenBucket(options.messagesPerSecond, 2 * options.messagesPerSecond, options.clock)
    this.conversation = new Conversation({
      responder: options.responder,
      maxQuestions: options.maxQuestions,
      logger: options.logger,
      say: (delta) => this.#say(delta),
    })
    socket.on('message', (data, isBinary) => this.#onMessage(data, isBinary))
    // A frame that breaks the protocol or a limit: `ws` closes with the right code by itself.
    socket.on('error', (error) => options.logger?.debug('socket:', error.message))
    socket.on('close', () => this.conversation.end())
  }

  /** Says goodbye: no more questions, the running answer may end. */
  async leave(): Promise<void> {
    await this.conversation.finish()
    this.#socket.close(1001, 'the server is going away')
  }

  /** Gone at once, without a close frame. */
  cut(): void {
    this.#socket.terminate()
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    if (!this.#bucket.tryConsume()) {
      this.#socket.close(1008, 'too many messages')
      return
    }
    if (isBinary) {
      this.audioBytes += (data as Buffer).length
      return
    }
    let message: unknown
    try {
      message = JSON.parse((data as Buffer).toString('utf8'))
    } catch {
      this.#refuse(undefined, 'this is no JSON')
      return
    }
    if (typeof message !== 'object' || message === null || Array.isArray(message)) {
      this.#refuse(undefined, 'a JSON object is expected')
      return
    }
    const delay = this.#faults.delay()
    if (!delay) {
      this.#take(message as Record<string, unknown>)
      return
    }
    this.#inbox = Promise.all([this.#inbox, delay]).then(() => this.#take(message as Record<string, unknown>))
  }

  #take(message: Record<string, unknown>): void {
    const { type, id, timestamp } = message
    switch (type) {
      case 'ping':
        this.#send({ type: 'pong', timestamp: typeof timestamp === 'number' ? timestamp : undefined })
        return
      case 'pong':
        return
      case 'stop':
        if (typeof id === 'string') this.conversation.stop(id)
        return
      case 'audio':
        this.audioBytes += typeof message.data === 'string' ? Math.floor((message.data.length * 3) / 4) : 0
        return
      case 'message':
        this.#ask(message)
        return
      default:
        this.#refuse(id, 'unknown type')
    }
  }

  #ask({ id, content, image }: Record<string, unknown>): void {
    if (typeof id !== 'string' || id === '' || id.length > MAX_ID_LENGTH) {
      this.#refuse(undefined, `"id" must be a string of 1 to ${MAX_ID_LENGTH} characters`)
    } else if (typeof content !== 'string' || content === '' || content.length > MAX_TEXT_LENGTH) {
      this.#refuse(id, `"content" must be a string of 1 to ${MAX_TEXT_LENGTH} characters`)
    } else if (image !== undefined && typeof image !== 'string') {
      this.#refuse(id, '"image" must be a string')
    } else {
      const question: Question = image === undefined ? { id, content } : { id, content, image }
      if (!this.conversation.ask(question)) this.#refuse(id, 'too many questions are waiting')
    }
  }

  /** Tells what was wrong; a question that is refused has ended, too. */
  #refuse(id: unknown, reason: string): void {
    this.#send({
      type: 'error',
      message: reason,
      ...(typeof id === 'string' ? { request_id: id, end: true } : {}),
    })
  }

  /** For what is not worth waiting for; a reader that lets even that pile up is given up. */
  #send(message: object): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return
    if (this.#socket.bufferedAmount > this.#options.maxQueuedBytes) {
      this.#socket.close(1013, 'too slow')
      return
    }
    this.#socket.send(JSON.stringify(message))
  }

  /** Resolves at once while there is room, else when the network has taken this delta. */
  #say(delta: ReplyDelta): Promise<void> {
    const socket = this.#socket
    if (socket.readyState !== socket.OPEN) return Promise.reject(new Error('the socket is closed'))
    const text = JSON.stringify(delta)
    if (socket.bufferedAmount < HIGH_WATER_BYTES) {
      socket.send(text)
      return Promise.resolve()
    }
    const { clock, writeTimeout } = this.#options
    return new Promise((resolve, reject) => {
      const timer = clock.setTimeout(() => {
        socket.terminate()
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
