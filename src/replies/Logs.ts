// The logs of a server: makes, extends, reads and removes them in a store, tells who waits of
// what is new, and forgets those whose time is over. It knows no HTTP.

import type { Clock, TimerHandle } from '../core/clock.ts'
import { type AppendRequest, type AppendResult, appendStep } from './appendStep.ts'
import { type CreateRequest, type CreateResult, createStep } from './createStep.ts'
import { cutRecord, type LogStore, type StepResult, skipUnits } from './LogStore.ts'
import { interruptStep, isOverdue } from './leaseStep.ts'
import { hasExpired, isJson, type LogHead, type LogRecord } from './log.ts'
import { type RemoveResult, removeStep } from './removeStep.ts'

export interface LogsOptions {
  readonly store: LogStore
  readonly clock: Clock
  /** Bytes of one log. */
  readonly maxLogBytes: number
  /** Logs in all. */
  readonly maxLogs: number
  /** Logs of one owner. */
  readonly maxLogsPerOwner: number
  /** Bytes that one answer to a reader holds, about. */
  readonly maxReadBytes: number
  readonly onError: (error: unknown) => void
}

/** What a reader gets. */
export interface ReadResult {
  readonly head: LogHead
  /** From the position asked for on, without a gap. */
  readonly records: readonly LogRecord[]
  /** The position after them. */
  readonly next: number
  /** They reach to the end, as far as there is one now. */
  readonly upToDate: boolean
}

export type FindResult = LogHead | 'missing' | 'removed'

/** How often those are looked for whose time is over, in milliseconds. */
const SWEEP_MS = 30_000
/**
 * How often it is looked whether the producers of replies that are waited for still live, in
 * milliseconds.
 */
const LEASE_CHECK_MS = 1000
/** No chain of forks is followed further. */
const MAX_FORK_DEPTH = 64
/**
 * A read is noted this often at most where time to live counts from it: in shares of that time.
 */
const TOUCH_SHARE = 0.1

export class Logs {
  readonly #options: LogsOptions
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #counts = new Map<string, number>()
  #total = 0
  readonly #counted: Promise<void>
  /** Ends the watching of the store: nobody asks it anything while nobody waits. */
  #stopWatching: (() => void) | undefined
  #sweep: TimerHandle
  /** When the producers are looked after of whose replies somebody waits for news. */
  #leases: TimerHandle
  #closed = false

  constructor(options: LogsOptions) {
    this.#options = options
    this.#counted = this.#count()
    this.#planSweep()
  }

  async create(request: CreateRequest): Promise<CreateResult | { readonly kind: 'tooMany' }> {
    await this.#counted
    const { store, maxLogBytes, maxLogs, maxLogsPerOwner } = this.#options
    const { path, owner, fork } = request
    await this.#forgetExpired(path)
    if (fork) await this.#forgetExpired(fork.path)
    const known = await this.#head(path)
    const full = this.#total >= maxLogs || (this.#counts.get(owner) ?? 0) >= maxLogsPerOwner
    if (!known && full) return { kind: 'tooMany' }
    const paths = fork ? [path, fork.path] : [path]
    const result = await store.transact(paths, (heads) =>
      createStep(heads, request, maxLogBytes, this.#now()),
    )
    if (result.kind === 'created') {
      this.#add(owner, 1)
      this.#notify(path)
    }
    return result
  }

  async append(path: string, request: AppendRequest): Promise<AppendResult> {
    const { store, maxLogBytes } = this.#options
    const limits = { maxBytes: maxLogBytes }
    const result = await store.transact([path], ([head]) => appendStep(head, request, limits, this.#now()))
    if (result.kind === 'appended') this.#notify(path)
    return result
  }

  /** The head of a log; looking at it is no use of it. */
  async find(path: string): Promise<FindResult> {
    let head = await this.#head(path)
    if (head && isOverdue(head, this.#now()) && (await this.#interrupt(path))) head = await this.#head(path)
    if (!head || (hasExpired(head, this.#now()) && !head.removed)) return 'missing'
    return head.removed ? 'removed' : head
  }

  /** What stands from `position` on, as much as one answer holds. It is a use of the log. */
  async read(found: LogHead, position: number): Promise<ReadResult> {
    const { store, maxReadBytes } = this.#options
    const head = await this.#touch(found)
    const json = isJson(head)
    const records: LogRecord[] = []
    let bytes = 0
    let next = Math.min(position, head.tail)
    for (const record of position < head.tail ? await store.read(head.path, position, maxReadBytes) : []) {
      const { position: start } = record
      // The head may be older than the records: what it does not know of comes with the next
      // answer.
      if (start >= head.tail || bytes >= maxReadBytes) break
      let part = skipUnits(record, next - start, json)
      if (!json) part = cutRecord(part, maxReadBytes - bytes, json)
      records.push(part)
      bytes += part.data.length
      next = part.position + part.units
    }
    return { head, records, next, upToDate: next >= head.tail }
  }

  /** The position after the record that holds `position`. */
  async boundaryAfter(path: string, position: number): Promise<number> {
    const [record] = await this.#options.store.read(path, position, 1)
    return record ? record.position + record.units : position
  }

  async remove(path: string): Promise<RemoveResult> {
    return await this.#remove(path, false)
  }

  /**
   * Its producer lives on: nobody has to hear of that. Resolves to the head; `undefined` when
   * there is none any more.
   */
  async renew(path: string, id: string, leaseUntil: number): Promise<LogHead | undefined> {
    return await this.#options.store.transact<LogHead | undefined>([path], ([head]) => {
      if (head?.id !== id || head.removed) return { result: undefined, writes: [] }
      if (head.closed || head.state !== 'running') return { result: head, writes: [] }
      const after = { ...head, leaseUntil }
      return { result: after, writes: [{ kind: 'put', head: after }] }
    })
  }

  /** Runs a step of somebody else's on one log, and tells who waits when it has written. */
  async step<T>(path: string, step: (head: LogHead | undefined, now: number) => StepResult<T>): Promise<T> {
    let written = false
    const result = await this.#options.store.transact([path], ([head]) => {
      const taken = step(head, this.#now())
      written = taken.writes.length > 0
      return taken
    })
    if (written) this.#notify(path)
    return result
  }

  /** Calls `listener` after every change of a log. Returns a function that ends it. */
  watch(path: string, listener: () => void): () => void {
    let listeners = this.#waiting.get(path)
    if (!listeners) {
      listeners = new Set()
      this.#waiting.set(path, listeners)
    }
    listeners.add(listener)
    this.#leases ??= this.#planLeases()
    this.#stopWatching ??= this.#options.store.watch?.((changed) => {
      if (changed === undefined) this.#notifyAll()
      else this.#notify(changed)
    })
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0 && this.#waiting.get(path) === listeners) this.#waiting.delete(path)
      if (this.#waiting.size === 0) this.#unwatch()
    }
  }

  /** Ends the waiting and lets go of the store. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#options.clock.clearTimeout(this.#sweep)
    this.#options.clock.clearTimeout(this.#leases)
    this.#notifyAll()
    this.#unwatch()
    await this.#counted
    await this.#options.store.close()
  }

  get closed(): boolean {
    return this.#closed
  }

  #now(): number {
    return this.#options.clock.wallNow()
  }

  async #head(path: string): Promise<LogHead | undefined> {
    return await this.#options.store.transact([path], ([head]) => ({ result: head, writes: [] }))
  }

  /** Notes that a log was read, where that keeps it. */
  async #touch(head: LogHead): Promise<LogHead> {
    const now = this.#now()
    const { ttlSeconds } = head
    if (ttlSeconds === undefined || now - head.usedAt < ttlSeconds * 1000 * TOUCH_SHARE) return head
    const touched = await this.#options.store.transact<LogHead | undefined>([head.path], ([known]) => {
      if (known?.id !== head.id || known.removed) return { result: undefined, writes: [] }
      const after = { ...known, usedAt: now }
      return { result: after, writes: [{ kind: 'put', head: after }] }
    })
    return touched ?? head
  }

  async #remove(path: string, expired: boolean): Promise<RemoveResult> {
    const chain: string[] = [path]
    let head = await this.#head(path)
    const owner = head?.owner
    while (head?.forkedFrom && chain.length < MAX_FORK_DEPTH) {
      chain.push(head.forkedFrom.path)
      head = await this.#head(head.forkedFrom.path)
    }
    const result = await this.#options.store.transact(chain, (heads) =>
      removeStep(heads, this.#now(), expired),
    )
    if (result.kind === 'removed' && owner !== undefined) {
      for (const removed of result.paths) this.#notify(removed)
      this.#add(owner, -result.paths.length)
    }
    return result
  }

  #interrupt(path: string): Promise<boolean> {
    return this.step(path, interruptStep)
  }

  async #forgetExpired(path: string): Promise<void> {
    const head = await this.#head(path)
    if (head && !head.removed && hasExpired(head, this.#now())) await this.#remove(path, true)
  }

  #notify(path: string): void {
    for (const listener of [...(this.#waiting.get(path) ?? [])]) listener()
  }

  #notifyAll(): void {
    for (const path of [...this.#waiting.keys()]) this.#notify(path)
  }

  #unwatch(): void {
    this.#stopWatching?.()
    this.#stopWatching = undefined
  }

  async #count(): Promise<void> {
    try {
      for await (const { owner } of this.#options.store.list()) this.#add(owner, 1)
    } catch (error) {
      this.#options.onError(error)
    }
  }

  #add(owner: string, count: number): void {
    this.#total += count
    const after = (this.#counts.get(owner) ?? 0) + count
    if (after > 0) this.#counts.set(owner, after)
    else this.#counts.delete(owner)
  }

  #planLeases(): TimerHandle {
    return this.#options.clock.setTimeout(() => void this.#checkLeases(), LEASE_CHECK_MS, true)
  }

  async #checkLeases(): Promise<void> {
    try {
      for (const path of [...this.#waiting.keys()]) await this.find(path)
    } catch (error) {
      this.#options.onError(error)
    }
    this.#leases = this.#waiting.size > 0 && !this.#closed ? this.#planLeases() : undefined
  }

  #planSweep(): void {
    this.#sweep = this.#options.clock.setTimeout(
      () => {
        this.#forgetAll().catch(this.#options.onError)
      },
      SWEEP_MS,
      true,
    )
  }

  async #forgetAll(): Promise<void> {
    try {
      const expired: string[] = []
      for await (const head of this.#options.store.list())
        if (!head.removed && hasExpired(head, this.#now())) expired.push(head.path)
      for (const path of expired) await this.#remove(path, true)
    } finally {
      if (!this.#closed) this.#planSweep()
    }
  }
}
