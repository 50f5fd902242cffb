// A durable outbox that is durable in a test's eyes only: a made-up disk that survives the deaths of its owners, and
// writes that are slow, are held back, fail, or are overtaken by death when the test says so.

import type { Clock } from '../core/clock.ts'
import { type Entry, NEVER } from '../session/entry.ts'
import { TEXT } from '../session/frames.ts'
import type { OutboxRecord, OutboxStore, SessionRecord, Write } from '../session/store.ts'
import { alreadyOwned, notLoaded, OutboxHead, recordedTwice, refusePromise } from '../storage/outboxHead.ts'
import { StorageError } from '../storage/StorageError.ts'

export interface MemoryOutboxOptions {
  /**
   * When a write is recorded. `sync`: before `write` returns. `held`: when the test calls `release`. A clock with a
   * delay: so many milliseconds later, one write after the other.
   * @default 'sync'
   */
  recording?: 'sync' | 'held' | { readonly clock: Clock; readonly delayMs: number } | undefined
  /** Which calls of `write` fail, counted from 1 over all owners of the disk; nothing of them is recorded. @default none */
  failWrites?: readonly number[] | undefined
}

/** What stays when an owner dies. */
export class MemoryDisk {
  /** What transactions of handlers have recorded, in order: each is given this list to push to. */
  readonly effects: unknown[] = []
  /** Calls of `write` so far, failed ones included. */
  writeCalls = 0
  #session: Omit<SessionRecord, 'done' | 'messages'> | undefined
  #numbered = new Map<number, Entry>()
  #waiting = new Map<number, Entry>()
  #done = new Map<string, Set<number>>()
  #head = new OutboxHead()
  #owner: MemoryOutbox | undefined

  /** An outbox on this disk; it owns the disk from `load` to `close`, `destroy` or `kill`. */
  outbox(options: MemoryOutboxOptions = {}): MemoryOutbox {
    return new MemoryOutbox(this, options)
  }

  /**
   * The owner's process dies: it is not heard of again, and the next may load. `recordHeld` says how many of the writes
   * that were under way had reached the disk although nobody was told.
   */
  kill(recordHeld = 0): void {
    this.#owner?.die(recordHeld)
    this.#owner = undefined
  }

  /** What the disk holds: copies, as an owner would load them. */
  get record(): OutboxRecord {
    const session = this.#session
    const copies = (entries: Map<number, Entry>) => Array.from(entries.values(), copyOf)
    return {
      session: session && {
        ...session,
        done: [...(this.#done.get(session.sid) ?? [])].filter((number) => number > session.rx),
        messages: copies(this.#numbered),
      },
      waiting: copies(this.#waiting),
    }
  }

  /** For its outboxes. */
  own(owner: MemoryOutbox): void {
    if (this.#owner)
      throw alreadyOwned(
        'this memory outbox',
        'Close that one, or kill it: MemoryDisk.kill() lets its owner die',
      )
    this.#owner = owner
  }

  /** For its outboxes. */
  disown(owner: MemoryOutbox): void {
    if (this.#owner === owner) this.#owner = undefined
  }

  /** For its outboxes. */
  clear(): void {
    this.#head = new OutboxHead()
    this.#session = undefined
    this.#numbered.clear()
    this.#waiting.clear()
    this.#done.clear()
  }

  /** For its outboxes. */
  addDone(sid: string, number: number): boolean {
    const done = this.#done.get(sid) ?? new Set()
    if (done.has(number)) return false
    this.#done.set(sid, done.add(number))
    return true
  }

  /** For its outboxes. */
  removeDone(sid: string, number: number): void {
    this.#done.get(sid)?.delete(number)
  }

  /** For its outboxes: records all of them, or throws and records none. */
  apply(writes: readonly Write[]): void {
    const head = this.#head.copy()
    const accepted = writes.filter((write) => head.step(write))
    this.#head = head
    for (const write of accepted) this.#apply(write)
  }

  #apply(write: Write): void {
    const session = this.#session as SessionRecord
    switch (write.kind) {
      case 'accept':
        this.#waiting.set(write.entry.seq, copyOf(write.entry))
        return
      case 'drop':
        this.#waiting.delete(write.seq)
        return
      case 'number':
        this.#waiting.delete(write.entry.seq)
        this.#numbered.set(write.number, copyOf(write.entry))
        return
      case 'void': {
        const emptied = { seq: 0, stream: TEXT, payload: '', bytes: 0 }
        this.#numbered.set(write.number, { ...(this.#numbered.get(write.number) as Entry), ...emptied })
        return
      }
      case 'prune':
        for (let number = session.acked + 1; number <= write.acked; number += 1) this.#numbered.delete(number)
        this.#session = { ...session, acked: write.acked }
        return
      case 'rx':
        this.#session = { ...session, rx: Math.max(session.rx, write.rx) }
        return
      case 'epoch':
        this.#session = { ...session, epoch: write.epoch }
        return
      case 'begin':
        this.#numbered.clear()
        for (const sid of this.#done.keys()) if (sid !== write.session.sid) this.#done.delete(sid)
        this.#session = { ...write.session, epoch: 0, rx: 0, acked: 0 }
        return
      case 'end': {
        const requeued = write.requeue ? [...this.#numbered.values()].filter(({ seq }) => seq !== 0) : []
        const first = requeued.map(
          (entry) => [entry.seq, { ...entry, priority: Number.MAX_SAFE_INTEGER, expiresAt: NEVER }] as const,
        )
        this.#waiting = new Map([...first, ...this.#waiting])
        this.#numbered.clear()
        this.#done.clear()
        this.#session = undefined
      }
    }
  }
}

function copyOf(entry: Entry): Entry {
  const { payload } = entry
  return { ...entry, payload: typeof payload === 'string' ? payload : payload.slice() }
}

interface Held {
  readonly writes: readonly Write[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class MemoryOutbox implements OutboxStore {
  readonly #disk: MemoryDisk
  readonly #options: MemoryOutboxOptions
  #loaded = false
  #held: Held[] = []

  constructor(disk: MemoryDisk, options: MemoryOutboxOptions) {
    this.#disk = disk
    this.#options = options
  }

  /** Writes that are under way. */
  get held(): number {
    return this.#held.length
  }

  load(): OutboxRecord {
    this.#disk.own(this)
    this.#loaded = true
    return this.#disk.record
  }

  write(writes: readonly Write[]): void | Promise<void> {
    if (!this.#loaded) throw notLoaded()
    this.#disk.writeCalls += 1
    const { recording = 'sync', failWrites = [] } = this.#options
    const fails = failWrites.includes(this.#disk.writeCalls)
    if (recording === 'sync') {
      if (fails) throw noRoom()
      this.#disk.apply(writes)
      return
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#held.push({
      writes: fails ? [] : [...writes],
      resolve: fails ? () => reject(noRoom()) : resolve,
      reject,
    })
    if (recording !== 'held') recording.clock.setTimeout(() => this.release(1), recording.delayMs)
    return promise
  }

  /** The oldest writes that are held back, `count` of them, are recorded. */
  release(count = Infinity): void {
    for (const { writes, resolve, reject } of this.#held.splice(0, count)) {
      try {
        this.#disk.apply(writes)
        resolve()
      } catch (error) {
        reject(error)
      }
    }
  }

  /** `database` is the disk's `effects`. */
  transact<T>(sid: string, number: number, run: (database: unknown) => T): T {
    if (!this.#loaded) throw notLoaded()
    const { effects } = this.#disk
    const { length } = effects
    if (!this.#disk.addDone(sid, number)) throw recordedTwice(number)
    try {
      return refusePromise(run(effects))
    } catch (error) {
      effects.length = length
      this.#disk.removeDone(sid, number)
      throw error
    }
  }

  destroy(): void {
    if (this.#loaded) this.#disk.clear()
    this.close()
  }

  close(): void {
    this.#loaded = false
    this.#disk.disown(this)
  }

  /** For the disk. */
  die(recordHeld: number): void {
    this.#loaded = false
    for (const { writes } of this.#held.splice(0).slice(0, recordHeld)) this.#disk.apply(writes)
  }
}

function noRoom(): StorageError {
  return new StorageError('the disk is full, as the test wished', { reason: 'full' })
}
