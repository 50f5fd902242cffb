// Tabs that are none: they share a made-up channel, lock and disk, but real connections to a real server.

import { systemClock } from '../../src/core/systemClock.ts'
import { GuruConnection, type GuruConnectionOptions } from '../../src/GuruConnection.ts'
import type { OutboxStore, Write } from '../../src/session/store.ts'
import type { Tabs } from '../../src/tabs/browserTabs.ts'
import type { MarkedOutbox } from '../../src/tabs/originOutbox.ts'
import type { SharedParts } from '../../src/tabs/parts.ts'
import type { Envelope, Mark } from '../../src/tabs/protocol.ts'
import { SharedConnection } from '../../src/tabs/SharedConnection.ts'
import { MemoryDisk, type MemoryOutbox } from '../../src/testing/MemoryOutbox.ts'

/** A tab's wish to lead, granted or not. */
interface Wish {
  readonly tab: Tab
  run(): Promise<void>
  steal(): void
}

/** What tabs of one browser share. */
export class Site {
  readonly disk = new MemoryDisk()
  readonly marks = new Map<string, Mark>()
  readonly members = new Set<Tab>()
  readonly waiting: Wish[] = []
  leader: Wish | undefined

  next(): void {
    this.leader = this.waiting.shift()
    void this.leader?.run()
  }
}

/** One of them, that can be killed, hang, and go into the back/forward cache. */
export class Tab implements Tabs {
  readonly site: Site
  readonly connection: SharedConnection
  line: GuruConnection | undefined
  outbox: MemoryOutbox | undefined
  name = ''
  readonly #options: GuruConnectionOptions
  #listener: ((data: unknown) => void) | undefined
  #life: ((change: 'away' | 'back' | 'gone') => void) | undefined

  constructor(site: Site, options: GuruConnectionOptions, given: Partial<SharedParts> = {}) {
    this.site = site
    this.#options = options
    site.members.add(this)
    this.connection = new SharedConnection({
      tabs: this,
      connect: (storage) => this.connect(storage),
      makeOutbox: () => this.#marked(),
      limits: { maxQueueMessages: 10_000, maxQueueBytes: 2 ** 24, overflow: 'drop-oldest' },
      clock: systemClock,
      random: () => 0.5,
      ...given,
    })
  }

  connect(storage: OutboxStore): GuruConnection {
    const options = { session: 'required', reconnectDelay: 10, ...this.#options, storage } as const
    this.line = new GuruConnection(options)
    this.line.on('error', () => {})
    return this.line
  }

  async lead(run: () => Promise<void>, signal: AbortSignal, takeOver: boolean): Promise<void> {
    const { site } = this
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const end = (wish: Wish) => {
      if (site.leader === wish) site.next()
      const at = site.waiting.indexOf(wish)
      if (at >= 0) site.waiting.splice(at, 1)
    }
    const wish: Wish = {
      tab: this,
      run: () =>
        run()
          .then(resolve, reject)
          .finally(() => end(wish)),
      steal: () => reject(new DOMException('stolen', 'AbortError')),
    }
    signal.addEventListener('abort', () => {
      if (site.leader !== wish) end(wish)
    })
    // A lock is never had at once.
    await Promise.resolve()
    if (takeOver) {
      site.leader?.steal()
      site.leader = wish
      void wish.run()
    } else {
      site.waiting.push(wish)
      if (!site.leader) site.next()
    }
    return promise
  }

  show(tab: string, signal: AbortSignal): void {
    this.name = tab
    signal.addEventListener('abort', () => {
      this.name = ''
    })
  }

  async present(): Promise<ReadonlySet<string>> {
    return new Set(Array.from(this.site.members, ({ name }) => name))
  }

  async leaders(): Promise<ReadonlySet<string> | undefined> {
    const { leader } = this.site
    return leader && new Set([leader.tab.name])
  }

  onLife(listener: (change: 'away' | 'back' | 'gone') => void): void {
    this.#life = listener
  }

  /** The page goes into the back/forward cache, or comes back from there. */
  live(change: 'away' | 'back' | 'gone'): void {
    this.#life?.(change)
  }

  suspend(): void {
    this.site.members.delete(this)
  }

  resume(): void {
    this.site.members.add(this)
  }

  /** Another tab says something of its own. */
  hear(data: unknown): void {
    this.#listener?.(data)
  }

  post(envelope: Envelope): void {
    if (!this.site.members.has(this)) return
    const copy = structuredClone(envelope)
    setImmediate(() => {
      for (const member of this.site.members) {
        if (member === this) continue
        if (member.late) member.late.push(copy)
        else member.#listener?.(copy)
      }
    })
  }

  /** What it has not heard yet: it is busy. */
  late: unknown[] | undefined
  catchUp(): void {
    const late = this.late ?? []
    this.late = undefined
    for (const message of late) this.#listener?.(message)
  }

  listen(listener: (data: unknown) => void): void {
    this.#listener = listener
  }

  close(): void {
    this.site.members.delete(this)
  }

  /** Its process dies: nothing more is heard of it. `recordHeld`: how many writes under way had reached the disk. */
  kill(recordHeld = 0): void {
    const { site } = this
    site.members.delete(this)
    if (site.leader?.tab === this) {
      site.disk.kill(recordHeld)
      this.line?.dispose()
      site.next()
    } else
      site.waiting.splice(
        site.waiting.findIndex(({ tab }) => tab === this),
        1,
      )
  }

  /** Writes of this tab are held back from now on. */
  hold = false
  #held: (() => void)[] = []
  release(): void {
    this.hold = false
    for (const record of this.#held.splice(0)) record()
  }

  /** The oldest write that is held back reaches the disk. */
  releaseOne(): void {
    this.#held.shift()?.()
  }

  #marked(): MarkedOutbox {
    const { disk, marks } = this.site
    const outbox = disk.outbox()
    this.outbox = outbox
    return {
      load: async () => ({ record: outbox.load(), marks: [...marks] }),
      write: async (writes: readonly Write[], given) => {
        if (this.hold) await new Promise<void>((resolve) => this.#held.push(resolve))
        await outbox.write(writes)
        for (const [tab, mark] of given) {
          if (mark) marks.set(tab, mark)
          else marks.delete(tab)
        }
      },
      transact: async (sid, number, run) => outbox.transact(sid, number, run as never),
      destroy: async () => outbox.destroy(),
      close: async () => outbox.close(),
      abandon: () => {
        disk.kill()
        outbox.close()
      },
      wipe: async () => {
        marks.clear()
        disk.clear()
      },
    }
  }
}
