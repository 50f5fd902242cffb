// One user's talk over a session: it lives with the session, so that an answer goes on without a gap while connections
// come and go.

import { sleep } from '../core/sleep.ts'
import { TokenBucket } from '../policies/rateLimiter/TokenBucket.ts'
import type { ReplyDelta } from './Conversation.ts'
import { type Holder, type MemoryBudget, ownerOf } from './MemoryBudget.ts'
import type { Principal, ResolvedBackendOptions } from './options.ts'
import type { Session } from './Session.ts'
import type { UserContext } from './UserSocket.ts'
import { UserTalk } from './UserTalk.ts'

/** Below this much that the user has not acknowledged, more is said at once; above, when the window has room. */
const HIGH_WATER_BYTES = 64 * 1024

export class UserSession implements Holder {
  readonly owner: string
  readonly #budget: MemoryBudget
  readonly principal: Principal | undefined
  readonly #session: Session
  readonly #options: ResolvedBackendOptions
  readonly #bucket: TokenBucket
  readonly #talk: UserTalk
  /** Messages that wait for their turn, one behind the other. */
  #turn: Promise<void> = Promise.resolve()
  #waiting = 0

  constructor(session: Session, principal: Principal | undefined, { options, answers, budget }: UserContext) {
    this.#session = session
    this.#budget = budget
    this.owner = ownerOf(principal, `of session ${session.id}`)
    this.principal = principal
    this.#options = options
    this.#bucket = new TokenBucket(options.messagesPerSecond, 2 * options.messagesPerSecond, options.clock)
    this.#talk = new UserTalk(
      { options, principal, answers },
      {
        send: (message) => void session.send(message),
        pong: (message) => void session.send(message),
        say: (delta) => this.#say(delta),
      },
    )
    session.handle((message) => this.#receive(message))
    session.on('volatile', (message) => this.#hear(message))
    session.on('error', (error) => this.#onError(error))
    const end = () => {
      this.#talk.end('silently')
      budget.hold(this, 0)
    }
    session.on('closed', end)
    session.on('lost', end)
  }

  /** Bytes of the questions that wait: they have been acknowledged, so no window bounds them. */
  measure(): number {
    return this.conversation.waitingBytes
  }

  giveUp(): void {
    this.conversation.refuseWaiting()
  }

  get conversation() {
    return this.#talk.conversation
  }

  /** Bytes of audio that have come in. */
  get audioBytes(): number {
    return this.#talk.audioBytes
  }

  /**
   * The answers that still run end now: as cut off; or, where the session lives on in a store, without a word, for the
   * process that is handed their questions next.
   */
  endAnswers(): void {
    this.#talk.end(this.#outlivesProcess ? 'silently' : 'shutdown')
  }

  get #outlivesProcess(): boolean {
    return this.#options.store !== undefined
  }

  /**
   * Acknowledged when it has had its turn: a user who says too much is slowed down by the window, and loses nothing. With a
   * store a question is acknowledged when its answer has ended, so that one cut off is answered anew after a restart.
   */
  #receive(message: unknown): Promise<void> | undefined {
    if (message instanceof ArrayBuffer) {
      this.#talk.audioBytes += message.byteLength
      return undefined
    }
    const turn = this.#takeTurn()
    if (turn) return turn.then(() => this.#act(message))
    return this.#act(message)
  }

  #act(message: unknown): Promise<void> | undefined {
    if (!this.#outlivesProcess) {
      this.#talk.receive(message)
      this.#budget.hold(this, this.measure())
      return undefined
    }
    // Not taken any more: whoever goes on with the session will be handed it.
    if (this.conversation.over) return new Promise(() => {})
    return new Promise((resolve) => this.#talk.receive(message, resolve))
  }

  /** Live audio and the like: beyond the rate it is dropped. */
  #hear(message: unknown): void {
    if (!this.#bucket.tryConsume()) return
    if (message instanceof ArrayBuffer) this.#talk.audioBytes += message.byteLength
    else this.#talk.receive(message)
    this.#budget.hold(this, this.measure())
  }

  /** `undefined` when it is its turn at once. */
  #takeTurn(): Promise<void> | undefined {
    if (this.#waiting === 0 && this.#bucket.tryConsume()) return undefined
    this.#waiting += 1
    this.#turn = this.#turn.then(async () => {
      while (!this.#bucket.tryConsume()) {
        const delayMs = Math.ceil(this.#bucket.getRetryAfter())
        await sleep(this.#options.clock, delayMs, undefined, () => undefined, true)
      }
      this.#waiting -= 1
    })
    return this.#turn
  }

  #say(delta: ReplyDelta): Promise<void> {
    const session = this.#session
    if (session.over) return Promise.reject(new Error('the session is over'))
    session.send(delta)
    return session.queuedBytes < HIGH_WATER_BYTES ? Promise.resolve() : session.ready()
  }

  #onError(error: unknown): void {
    if ((error as { code?: unknown } | null)?.code === 'PROTOCOL') {
      this.#talk.refuse(undefined, 'this is no JSON')
    } else this.#options.logger?.warn('a session:', error)
  }
}
