// Leaves messages for sessions, each exactly once or not at all. A client library may run a command long after its promise
// was rejected, or twice when a connection died after it: so each message has a number of its poster, which the engine
// remembers with the session, and a deadline on the engine's clock, after which the engine refuses it. Who has heard no
// answer asks again with the same number.

import { CommsError } from '../core/errors.ts'
import { sleep } from '../core/sleep.ts'
import type { PostedMessage, PostResult } from '../session/sharedSessions.ts'
import { StorageError } from '../storage/StorageError.ts'
import { isEngineError } from './EngineError.ts'
import { type EngineLink, isHopeless } from './EngineLink.ts'
import type { RedisReply } from './RedisEngine.ts'
import type { SessionMail } from './SessionMail.ts'
import { POST_ASK_MS, post } from './sessionScripts.ts'
import type { StoreSettings } from './sessionStoreOptions.ts'
import { encodePost, textOf } from './sessionWire.ts'

export interface PosterParts {
  readonly link: EngineLink
  readonly mail: SessionMail
  readonly settings: StoreSettings
  /** Names this store among all on the engine. */
  readonly store: string
  /** The keys of a session. */
  keys(sid: string): readonly string[]
}

/** How the engine's clock stands to ours is looked at anew after so long. */
const CLOCK_MS = 10_000
const RETRY_MS = 20
const MAX_RETRY_MS = 500

export class Poster {
  readonly #parts: PosterParts
  /** Messages so far. */
  #last = 0
  /** Of the engine, less our own: an upper bound. */
  #clockAhead: { readonly byMs: number; readonly at: number } | undefined
  #stopped = false

  constructor(parts: PosterParts) {
    this.#parts = parts
  }

  /** What has no answer from now on is not asked for again. */
  stop(): void {
    this.#stopped = true
  }

  /**
   * Leaves a message.
   * @returns what came of it, and the session's owner (empty for none)
   * @throws StorageError: it has not been left, and will not be; CommsError `UNKNOWN`: nobody can say
   */
  async post(sid: string, message: PostedMessage): Promise<{ result: PostResult; owner: string }> {
    const { link, mail, settings, store } = this.#parts
    const { clock, timeout } = settings
    const [session = '', , , inbox = ''] = this.#parts.keys(sid)
    const limits = [`${settings.maxPosted}`, `${settings.maxPostedBytes}`]
    const blob = encodePost(message, `${store}.${message.token}`)
    this.#last += 1
    const number = `${this.#last}`
    const until = clock.now() + timeout
    let deadline: string | undefined
    // Whether an attempt may have been carried out, or may be still.
    let unsure = false
    for (let tries = 0; ; tries += 1) {
      try {
        // Before it is left, or word of what becomes of it may come before somebody listens.
        await mail.open()
        deadline ??= `${Math.ceil((await this.#engineNow(session)) + until - clock.now())}`
        const reply = await link.run(post, [session, inbox], [...limits, blob, store, number, deadline])
        return outcome(reply, unsure)
      } catch (error) {
        if (!(error instanceof StorageError) || error === tooLate) throw error
        if (deadline !== undefined && !isAnswered(error)) unsure = true
        const now = clock.now()
        const over = this.#stopped || (isHopeless(error) && !unsure)
        if (!unsure && (over || isAnswered(error) || now >= until)) throw error
        if (over || now >= until + POST_ASK_MS) throw unknown(error)
        await this.#pause(tries)
      }
    }
  }

  /** The engine's clock, in milliseconds; not less than it is. */
  async #engineNow(key: string): Promise<number> {
    const { link, settings } = this.#parts
    const sentAt = settings.clock.now()
    const known = this.#clockAhead
    if (known && sentAt - known.at < CLOCK_MS) return sentAt + known.byMs
    const [seconds, micros] = (await link.command(['TIME'], key)) as readonly RedisReply[]
    const engine = Number(textOf(seconds)) * 1000 + Number(textOf(micros)) / 1000
    this.#clockAhead = { byMs: engine - sentAt, at: sentAt }
    return settings.clock.now() + this.#clockAhead.byMs
  }

  #pause(tries: number): Promise<void> {
    const { clock, random } = this.#parts.settings
    const ms = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** tries) * (0.5 + random() / 2)
    return sleep(clock, ms, undefined, () => undefined, true)
  }
}

/** The engine's own answer: this attempt has had no effect. */
function isAnswered({ cause }: StorageError): boolean {
  return isEngineError(cause) && cause.reason !== 'timeout' && cause.reason !== 'unreachable'
}

const tooLate = new StorageError(
  'redisSessionStore: the engine could not be asked in time: the message has not been left',
  { reason: 'unavailable' },
)

function outcome(reply: RedisReply, unsure: boolean): { result: PostResult; owner: string } {
  if (reply === null) {
    // It may have been handled, and the session have ended since.
    if (unsure) throw unknown(undefined)
    return { result: 'noSession', owner: '' }
  }
  if (reply === 0) return { result: 'full', owner: '' }
  if (reply === -1) throw tooLate
  return { result: 'posted', owner: textOf((reply as readonly RedisReply[])[1]) }
}

function unknown(cause: unknown): CommsError {
  const message = 'nobody knows whether the message was left for the session: the engine did not answer'
  return new CommsError(message, { code: 'UNKNOWN', cause })
}
