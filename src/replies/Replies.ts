// Replies that outlive the line: each is a log that one producer writes, any permitted reader
// follows from wherever it was, and any permitted reader stops.

import { randomUUID } from 'node:crypto'
import { CommsError } from '../core/errors.ts'
import type { AppendRequest } from './appendStep.ts'
import { appendStep } from './appendStep.ts'
import { Logs } from './Logs.ts'
import type { Audience, LogHead, ReplyState } from './log.ts'
import { isJson } from './log.ts'
import { formatOffset, parseOffset } from './offset.ts'
import { PRODUCER, ReplyWriter, type WriterContext } from './ReplyWriter.ts'
import { type RepliesOptions, type ResolvedRepliesOptions, resolveRepliesOptions } from './repliesOptions.ts'
import { contentOf, type ReplyEvent, readMessage } from './replyMessages.ts'

/** Who asks; without it nobody is asked for: the caller has seen to it. */
export interface ReplyAccess {
  /** Who reads or stops; must be the owner, or in the audience. */
  readonly principal?: string | undefined
}

export interface StartReply {
  /** Its name, as it stands in paths. @default a random one */
  readonly id?: string | undefined
  /** Whose it is. @default '' (where nobody is authenticated) */
  readonly owner?: string | undefined
  /** Who besides may read and stop it. @default 'owner' */
  readonly audience?: Audience | undefined
}

export interface ReadReply extends ReplyAccess {
  /** Where to begin, as an event told it. @default the beginning */
  readonly offset?: string | undefined
  /** Ends the reading. */
  readonly signal?: AbortSignal | undefined
}

/** A reply as it stands. */
export interface ReplyInfo {
  readonly id: string
  readonly owner: string
  readonly state: ReplyState
  /** Where it ends now. */
  readonly offset: string
}

/** What a path cannot hold between two slashes. */
const UNFIT = /^\.{0,2}$/
const MAX_PATH = 1000
const CONTENT_TYPE = 'application/json'

export class Replies {
  /** Their logs, for whoever serves them over HTTP. */
  readonly logs: Logs
  readonly options: ResolvedRepliesOptions
  readonly #writers: WriterContext

  /** @throws TypeError or RangeError naming the option */
  constructor(options: RepliesOptions = {}) {
    this.options = resolveRepliesOptions(options)
    const { store, clock, leaseMs, logger, maxReplies, maxRepliesPerOwner, maxReplyBytes } = this.options
    const onError = (error: unknown) => logger?.error('replies:', error)
    this.logs = new Logs({
      store,
      clock,
      maxLogBytes: maxReplyBytes,
      maxLogs: maxReplies,
      maxLogsPerOwner: maxRepliesPerOwner,
      maxReadBytes: MAX_READ_BYTES,
      onError,
    })
    this.#writers = { logs: this.logs, clock, leaseMs, onError, live: new Set() }
  }

  /**
   * Begins a reply.
   * @throws CommsError `BAD_REQUEST` for an id that is taken or no path can hold, `QUEUE_FULL`
   * when there are too many
   */
  async start({ id = randomUUID(), owner = '', audience = 'owner' }: StartReply = {}): Promise<ReplyWriter> {
    const path = this.#pathOf(id)
    const { clock, leaseMs, ttlMs } = this.options
    const result = await this.logs.create({
      path,
      id: randomUUID(),
      owner,
      audience,
      local: true,
      contentType: CONTENT_TYPE,
      ttlSeconds: ttlMs / 1000,
      expiresAt: undefined,
      expiresAtText: undefined,
      closed: false,
      leaseUntil: clock.wallNow() + leaseMs,
      content: () => undefined,
      fork: undefined,
    })
    if (result.kind === 'created') return new ReplyWriter(id, result.head, 0, this.#writers)
    if (result.kind === 'tooMany') throw new CommsError('there are too many replies', { code: 'QUEUE_FULL' })
    throw new CommsError(`start: there is a reply ${id} already; takeOver() goes on with it`, {
      code: 'BAD_REQUEST',
    })
  }

  /**
   * Goes on with a reply whose producer has died, or is about to be replaced: it begins anew
   * (`reset`), and whoever wrote it before is kept out from now on.
   * @returns `undefined` when there is none, or it has ended
   */
  async takeOver(id: string): Promise<ReplyWriter | undefined> {
    const path = this.#pathOf(id)
    const { clock, leaseMs } = this.options
    const leaseUntil = clock.wallNow() + leaseMs
    const taken = await this.logs.step<{ head: LogHead; epoch: number } | undefined>(path, (head, now) => {
      if (!head?.local || head.closed || head.removed) return { result: undefined, writes: [] }
      const epoch = (head.producers[PRODUCER]?.epoch ?? 0) + 1
      const reset: AppendRequest = {
        ...NOTHING,
        content: contentOf({ state: 'running', reset: true }),
        state: 'running',
        leaseUntil,
        producer: { id: PRODUCER, epoch, seq: 0 },
      }
      const { result, writes } = appendStep(head, reset, { maxBytes: Infinity }, now)
      return { result: result.kind === 'appended' ? { head: result.head, epoch } : undefined, writes }
    })
    return taken && new ReplyWriter(id, taken.head, taken.epoch, this.#writers, 1)
  }

  /** A reply as it stands; `undefined` when there is none, or not for this principal. */
  async find(id: string, { principal }: ReplyAccess = {}): Promise<ReplyInfo | undefined> {
    const head = await this.#find(id, principal)
    return head && { id, owner: head.owner, state: head.state, offset: formatOffset(head.tail) }
  }

  /**
   * Follows a reply: what was, then what comes, without a gap, until it has ended. A slow reader
   * costs nobody else anything.
   * @throws CommsError `BAD_REQUEST` for an offset that is none, or when there is no such reply
   * for this principal
   */
  async *read(id: string, options: ReadReply = {}): AsyncGenerator<ReplyEvent, void, undefined> {
    const { principal, offset = '-1', signal } = options
    const asked = parseOffset(offset)
    if (asked === undefined)
      throw new CommsError(`read: "offset" must be one that an event told, got ${JSON.stringify(offset)}`, {
        code: 'BAD_REQUEST',
      })
    const first = await this.#find(id, principal)
    if (!first || !isJson(first))
      throw new CommsError(`read: there is no reply ${id}`, { code: 'BAD_REQUEST' })
    const news = new News(this.logs, first.path, signal)
    try {
      let head: LogHead | undefined = first
      let position = asked === 'now' ? head.tail : asked
      while (head?.id === first.id && !signal?.aborted) {
        const { records, next, upToDate, head: known } = await this.logs.read(head, position)
        yield* eventsOf(records, next)
        position = next
        if (!upToDate) continue
        if (known.closed || this.logs.closed) return
        await news.wait()
        head = await this.#find(id, principal)
      }
    } finally {
      news.end()
    }
  }

  /**
   * Stops a reply, whoever produces it and wherever: its producer's signal aborts, all readers
   * see `stopped`.
   * @returns whether there was one that had not ended, for this principal
   */
  async stop(id: string, { principal }: ReplyAccess = {}): Promise<boolean> {
    const head = await this.#find(id, principal)
    return head ? this.stopLog(head) : false
  }

  /** As `stop`, of a log that has been found. */
  async stopLog({ path, id }: LogHead): Promise<boolean> {
    return await this.logs.step(path, (head, now) => {
      if (head?.id !== id || head.closed) return { result: false, writes: [] }
      const stopped = {
        ...NOTHING,
        content: contentOf({ state: 'stopped' }),
        close: true,
        state: 'stopped',
      } as const
      const { result, writes } = appendStep(head, stopped, { maxBytes: Infinity }, now)
      return { result: result.kind === 'appended', writes }
    })
  }

  /** Lets go of the store. Producers of this process leave their replies to be taken over. */
  async close(): Promise<void> {
    for (const writer of [...this.#writers.live]) writer.abandon()
    await this.logs.close()
  }

  /** Whether somebody may read and stop a reply. */
  static isFor({ owner, audience }: LogHead, principal: string): boolean {
    return owner === principal || audience === 'everyone'
  }

  async #find(id: string, principal: string | undefined): Promise<LogHead | undefined> {
    const head = await this.logs.find(this.#pathOf(id))
    if (typeof head === 'string') return undefined
    return principal === undefined || Replies.isFor(head, principal) ? head : undefined
  }

  /** @throws CommsError `BAD_REQUEST` */
  #pathOf(id: string): string {
    const segments = typeof id === 'string' && id.isWellFormed() ? id.split('/').map(encodeURIComponent) : []
    const path = [this.options.path, ...segments].join('/')
    if (segments.length === 0 || segments.some((one) => UNFIT.test(one)) || path.length > MAX_PATH)
      throw new CommsError(
        `a reply's id must be a text of 1 to about ${MAX_PATH} characters without empty parts between slashes, got ${JSON.stringify(id)}`,
        { code: 'BAD_REQUEST' },
      )
    return path
  }
}

const MAX_READ_BYTES = 256 * 1024

const NOTHING: AppendRequest = {
  contentType: CONTENT_TYPE,
  content: undefined,
  malformed: undefined,
  close: false,
  seq: undefined,
  producer: undefined,
}

const decoder = new TextDecoder()

/** What readers get of records that end at `next`: texts that follow each other come as one. */
function* eventsOf(
  records: readonly { readonly position: number; readonly data: Uint8Array }[],
  next: number,
): Generator<ReplyEvent, void, undefined> {
  let text = ''
  let at = records[0]?.position ?? next
  for (const { data } of records) {
    for (const line of decoder.decode(data).split('\n')) {
      const message = readMessage(line)
      if (message && 'text' in message) text += message.text
      else if (text !== '') {
        yield { type: 'text', text, offset: formatOffset(at) }
        text = ''
      }
      at += 1
      const offset = formatOffset(at)
      if (message && 'part' in message) yield { type: 'part', part: message.part, offset }
      if (!message || !('state' in message)) continue
      const { state, error } = message
      if (state === 'running') yield { type: 'reset', offset }
      else yield { type: 'state', state, ...(error && { error }), offset }
    }
  }
  if (text !== '') yield { type: 'text', text, offset: formatOffset(at) }
}

/** Waits for changes of a log, or for the end of the reading. */
class News {
  readonly #unwatch: () => void
  readonly #signal: AbortSignal | undefined
  readonly #tell = () => {
    this.#news = true
    this.#wake?.()
  }
  #news = false
  #wake: (() => void) | undefined

  constructor(logs: Logs, path: string, signal: AbortSignal | undefined) {
    this.#unwatch = logs.watch(path, this.#tell)
    this.#signal = signal
    signal?.addEventListener('abort', this.#tell)
  }

  async wait(): Promise<void> {
    if (!this.#news && !this.#signal?.aborted)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    this.#news = false
    this.#wake = undefined
  }

  end(): void {
    this.#unwatch()
    this.#signal?.removeEventListener('abort', this.#tell)
  }
}
