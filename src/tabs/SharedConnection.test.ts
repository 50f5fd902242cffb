// Tabs that are none: they share a made-up channel, lock and disk, but real connections to a real server.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listen } from '../../tests/support/frameClient.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { GuruConnection, type GuruConnectionOptions } from '../GuruConnection.ts'
import type { Session } from '../server/Session.ts'
import { SessionServer } from '../server/SessionServer.ts'
import type { Write } from '../session/store.ts'
import { MemoryDisk, type MemoryOutbox } from '../testing/MemoryOutbox.ts'
import type { MarkedOutbox } from './originOutbox.ts'
import type { Mark, ToAll, ToLeader, ToTab } from './protocol.ts'
import { SharedConnection, type Tabs } from './SharedConnection.ts'

type Message = ToLeader | ToTab | ToAll

/** What tabs of one browser share. */
class Site {
  readonly disk = new MemoryDisk()
  readonly marks = new Map<string, Mark>()
  readonly members = new Set<Tab>()
  readonly waiting: Tab[] = []
  leader: Tab | undefined

  next(): void {
    this.leader = this.waiting.shift()
    void this.leader?.run()
  }
}

/** One of them, that can be killed. */
class Tab implements Tabs {
  readonly site: Site
  readonly connection: SharedConnection
  line: GuruConnection | undefined
  outbox: MemoryOutbox | undefined
  name = ''
  #listener: ((message: Message) => void) | undefined
  #lead: (() => Promise<void>) | undefined

  constructor(site: Site, options: GuruConnectionOptions) {
    this.site = site
    site.members.add(this)
    this.connection = new SharedConnection(
      this,
      (storage) => {
        this.line = new GuruConnection({ session: 'required', reconnectDelay: 10, ...options, storage })
        this.line.on('error', () => {})
        return this.line
      },
      () => this.#marked(),
    )
  }

  async lead(lead: () => Promise<void>): Promise<void> {
    this.#lead = lead
    this.site.waiting.push(this)
    // A lock is never had at once.
    await Promise.resolve()
    if (!this.site.leader) this.site.next()
  }

  async run(): Promise<void> {
    await this.#lead?.()
    if (this.site.leader === this) this.site.next()
  }

  show(tab: string): void {
    this.name = tab
  }

  async present(): Promise<ReadonlySet<string>> {
    return new Set(Array.from(this.site.members, ({ name }) => name))
  }

  post(message: Message): void {
    if (!this.site.members.has(this)) return
    const copy = structuredClone(message)
    setImmediate(() => {
      for (const member of this.site.members) {
        if (member === this) continue
        if (member.late) member.late.push(copy)
        else member.#listener?.(copy)
      }
    })
  }

  /** What it has not heard yet: it is busy. */
  late: Message[] | undefined
  catchUp(): void {
    const late = this.late ?? []
    this.late = undefined
    for (const message of late) this.#listener?.(message)
  }

  listen(listener: (message: Message) => void): void {
    this.#listener = listener
  }

  close(): void {
    this.site.members.delete(this)
  }

  /** Its process dies: nothing more is heard of it. `recordHeld`: how many writes under way had reached the disk. */
  kill(recordHeld = 0): void {
    const { site } = this
    site.members.delete(this)
    if (site.leader === this) {
      site.disk.kill(recordHeld)
      this.line?.dispose()
      site.next()
    } else site.waiting.splice(site.waiting.indexOf(this), 1)
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
    }
  }
}

describe('a connection that tabs share', () => {
  let http: Awaited<ReturnType<typeof listen>>
  let server: SessionServer
  let site: Site
  let handled: unknown[]
  let sessions: Session[]
  const open = (options: Partial<GuruConnectionOptions> = {}) =>
    new Tab(site, { url: `ws://127.0.0.1:${http.port}/ws`, ...options })

  beforeEach(async () => {
    http = await listen()
    handled = []
    sessions = []
    site = new Site()
    server = new SessionServer()
    server.onSession((session) => {
      sessions.push(session)
      session.handle((message) => void handled.push(message))
    })
    server.attach(http.http)
  })
  afterEach(async () => {
    for (const { connection } of [...site.members].reverse()) await connection.close()
    await server.close({ graceMs: 0 })
    await http.close()
  })

  it('has one line, and every tab sends through it', async () => {
    const tabs = [open(), open(), open()]
    const receipts = tabs.flatMap(({ connection }, index) =>
      [1, 2].map((n) => connection.send({ from: index, n })),
    )
    await Promise.all(receipts.map(({ stored }) => stored))
    await Promise.all(receipts.map(({ delivered }) => delivered))
    expect(handled).toHaveLength(6)
    for (const index of [0, 1, 2]) {
      const own = (handled as { from: number; n: number }[]).filter(({ from }) => from === index)
      expect(own.map(({ n }) => n)).toEqual([1, 2])
    }
    expect(sessions).toHaveLength(1)
    expect(tabs.map(({ connection }) => connection.leads)).toEqual([true, false, false])
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(6)
  })

  it('says what it cannot do, and what to do instead; nothing of it is sent', async () => {
    const [leader, follower] = [open().connection, open().connection]
    for (const shared of [leader, follower]) {
      const refused = (run: () => unknown, message: RegExp) =>
        expect(run).toThrow(
          expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringMatching(message) }),
        )
      refused(() => shared.send('now or never', { volatile: true } as never), /open a GuruConnection/)
      refused(() => shared.streamAudio(new ArrayBuffer(2)), /open a GuruConnection/)
      refused(() => shared.interrupt(1), /open a GuruConnection/)
      await expect(shared.request({ ask: 1 })).rejects.toMatchObject({
        code: 'UNSUPPORTED',
        message: expect.stringContaining('listen to "message"'),
      })
      const receipt = shared.send('sent')
      refused(() => receipt.cancel(), /"ttl"/)
      await receipt.delivered
    }
    expect(handled).toEqual(['sent', 'sent'])
  })

  it('brings messages to all tabs, and to the handler of the leader alone', async () => {
    const [one, other] = [open(), open()] as const
    const heard: unknown[] = []
    for (const tab of [one, other]) {
      tab.connection.on('message', (message) => heard.push(message))
      tab.connection.on('news', () => heard.push(tab === one ? 'one' : 'other'))
      tab.connection.handle((message) => heard.push(['handled', tab === one, message]))
    }
    await other.connection.send('hello').delivered
    const news = { type: 'news', text: 'good' }
    await sessions[0]?.send(news).delivered
    await until(() => heard.length === 5, 'the news in both tabs')
    expect(heard).toContainEqual(['handled', true, news])
    expect(heard.filter((one) => one === 'one' || one === 'other').sort()).toEqual(['one', 'other'])
  })

  it('goes on in the next tab when the leader dies: no message lost, none sent twice', async () => {
    const tabs = [open(), open(), open(), open()]
    const receipts: { id: string; delivered: Promise<void> }[] = []
    const sent: string[] = []
    for (let round = 0; round < 3; round += 1) {
      const [leader, ...followers] = tabs.slice(round) as [Tab, ...Tab[]]
      await until(() => leader.connection.leads, 'the next leads')
      for (const follower of followers) {
        for (let n = 0; n < 5; n += 1) {
          const text = `${tabs.indexOf(follower)}:${round}:${n}`
          sent.push(text)
          receipts.push(follower.connection.send(text))
        }
      }
      // At another moment each time: before anything is heard, in the midst of it, when some of it is recorded.
      for (let turn = 0; turn < round * 2; turn += 1) await new Promise(setImmediate)
      leader.kill()
    }
    const last = tabs[3] as Tab
    const own = receipts.filter(({ id }) => id.startsWith(last.connection.tab))
    await Promise.allSettled(own.map(({ delivered }) => delivered))
    await until(
      () => sent.filter((text) => text.startsWith('3:')).every((text) => handled.includes(text)),
      'all of the last tab',
    )
    expect(new Set(handled).size).toBe(handled.length)
    const of3 = handled.filter((text) => String(text).startsWith('3:'))
    expect(of3).toEqual(sent.filter((text) => text.startsWith('3:')))
  })

  it('takes once what was recorded although its tab had not heard', async () => {
    const [leader, follower] = [open(), open()] as const
    await follower.connection.send('first').delivered
    leader.hold = true
    const receipt = follower.connection.send('second')
    await until(() => leader.line?.getStats().unacknowledgedMessages === 1, 'a number')
    // The write reaches the disk, and the leader dies before anybody hears of it.
    site.members.delete(leader)
    leader.release()
    await until(() => [...site.marks.values()].some(({ n }) => n === 2), 'the mark')
    leader.kill()
    await receipt.stored
    await receipt.delivered.catch(() => {})
    await until(() => handled.length === 2, 'two messages')
    expect(handled).toEqual(['first', 'second'])
  })

  it('sends anew what was not recorded when the leader died', async () => {
    const [leader, follower] = [open(), open()] as const
    await follower.connection.send('first').delivered
    leader.hold = true
    const receipt = follower.connection.send('second')
    await until(() => leader.line?.getStats().unacknowledgedMessages === 1, 'a number')
    leader.kill()
    await receipt.delivered
    expect(handled).toEqual(['first', 'second'])
  })

  it('sends anew what the leader had taken and not yet recorded, when only what came before it was', async () => {
    const [leader, follower] = [open(), open()] as const
    await follower.connection.send('first').delivered
    leader.hold = true
    follower.connection.send('second')
    await until(() => leader.line?.getStats().unacknowledgedMessages === 1, 'a number')
    const third = follower.connection.send('third')
    await until(() => leader.line?.getStats().unacknowledgedMessages === 2, 'another number')
    site.members.delete(leader)
    leader.releaseOne()
    await until(() => [...site.marks.values()].some(({ n }) => n >= 2), 'the mark')
    leader.kill()
    await third.delivered
    expect(handled).toEqual(['first', 'second', 'third'])
  })

  it('does not take again what it hears late from a tab that is gone and forgotten', async () => {
    const [first, second, third] = [open(), open(), open()] as const
    await third.connection.send('one').delivered
    second.late = []
    await third.connection.send('two').delivered
    third.kill()
    first.kill()
    await until(() => second.connection.leads && site.marks.size === 0, 'the tab is forgotten')
    second.catchUp()
    await second.connection.send('three').delivered
    expect(handled).toEqual(['one', 'two', 'three'])
  })

  it('tells tabs of the fate of messages that an older leader recorded', async () => {
    const [leader, follower] = [open({ url: 'ws://127.0.0.1:9' }), open()] as const
    const receipt = follower.connection.send('early')
    await receipt.stored
    const heard: unknown[] = []
    follower.connection.on('delivered', (message) => heard.push(message))
    leader.kill()
    await receipt.delivered
    expect(handled).toEqual(['early'])
    expect(heard).toEqual([{ id: receipt.id }])
  })

  it('hands the lead over when the leading tab is closed; what it had recorded is sent all the same', async () => {
    const [leader, follower] = [open({ url: 'ws://127.0.0.1:9' }), open()] as const
    await leader.connection.send('of the leader').stored
    const unheard = leader.connection.send('too').delivered
    await leader.connection.close()
    await expect(unheard).rejects.toMatchObject({ code: 'DISPOSED' })
    await until(() => follower.connection.leads && handled.length === 2, 'the handover')
    expect(handled).toEqual(['of the leader', 'too'])
    expect(() => leader.connection.send('late')).toThrow(expect.objectContaining({ code: 'DISPOSED' }))
  })

  it('says what the connection refuses, and what it drops', async () => {
    const url = 'ws://127.0.0.1:9'
    const leader = open({ url, maxQueueMessages: 1, overflow: 'reject' })
    const follower = open()
    await follower.connection.send('fits').stored
    await expect(follower.connection.send('does not').stored).rejects.toMatchObject({ code: 'QUEUE_FULL' })
    expect(() => follower.connection.send(undefined)).toThrow(
      expect.objectContaining({ code: 'BAD_REQUEST' }),
    )
    leader.kill()
    await until(() => handled.length === 1, 'the message')
    await follower.connection.send('next').delivered
    expect(handled).toEqual(['fits', 'next'])
  })

  it('tells a tab that its message had to leave the queue', async () => {
    open({ url: 'ws://127.0.0.1:9', maxQueueMessages: 1, overflow: 'drop-oldest' })
    const follower = open()
    const dropped: unknown[] = []
    follower.connection.on('dropped', (message) => dropped.push(message))
    const first = follower.connection.send('first')
    await first.stored
    await follower.connection.send('second').stored
    await expect(first.delivered).rejects.toMatchObject({ code: 'DROPPED' })
    expect(dropped).toEqual([{ id: first.id, reason: 'overflow' }])
  })

  it('goes on in memory when there is no storage', async () => {
    const leader = open()
    const follower = open()
    leader.connection.on('error', () => {})
    site.disk.outbox().load()
    const receipt = follower.connection.send('all the same')
    await receipt.delivered
    expect(handled).toEqual(['all the same'])
  })

  it('forgets tabs that are gone', async () => {
    const [leader, second, third] = [open(), open(), open()] as const
    await second.connection.send('a').delivered
    await third.connection.send('b').delivered
    expect([...site.marks.keys()].sort()).toEqual([second.connection.tab, third.connection.tab].sort())
    second.kill()
    leader.kill()
    await until(() => site.marks.size === 1, 'the tab is forgotten')
    expect([...site.marks.keys()]).toEqual([third.connection.tab])
  })

  it('shows every tab how the line is', async () => {
    open()
    const follower = open()
    await follower.connection.send('a').delivered
    await until(
      () => (follower.connection.getStats().connection as { connected?: boolean })?.connected === true,
      'the line is up',
    )
    expect(follower.connection.getStats()).toMatchObject({ leads: false, unconfirmed: 0 })
  })

  it('has one handler', () => {
    const { connection } = open()
    const remove = connection.handle(() => {})
    expect(() => connection.handle(() => {})).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
    remove()
    connection.handle(() => {})
  })
})
