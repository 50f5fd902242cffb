// What tabs that share a connection promise, with tabs that are none and a server that is real.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listen } from '../../tests/support/frameClient.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { Site, Tab } from '../../tests/support/sharedTabs.ts'
import type { GuruConnectionOptions } from '../GuruConnection.ts'
import type { Session } from '../server/Session.ts'
import { SessionServer } from '../server/SessionServer.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import type { SharedParts } from './parts.ts'

describe('a connection that tabs share', () => {
  let http: Awaited<ReturnType<typeof listen>>
  let server: SessionServer
  let site: Site
  let handled: unknown[]
  let sessions: Session[]
  const open = (options: Partial<GuruConnectionOptions> = {}, parts: Partial<SharedParts> = {}) =>
    new Tab(site, { url: `ws://127.0.0.1:${http.port}/ws`, ...options }, parts)

  /** So many minutes pass for a leader, who looks each minute which tabs are there. */
  const forgetting = async (clock: VirtualClock, minutes = 62) => {
    for (let minute = 0; minute < minutes; minute += 1) {
      await clock.advance(60_000)
      await new Promise(setImmediate)
    }
  }

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
    const clock = new VirtualClock()
    const [first, second, third] = [open(), open({}, { clock }), open()] as const
    await third.connection.send('one').delivered
    second.late = []
    await third.connection.send('two').delivered
    third.kill()
    first.kill()
    await until(() => second.connection.leads, 'the lead')
    await forgetting(clock)
    await until(() => site.marks.size === 0, 'the tab is forgotten')
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

  it('forgets tabs that are gone: those that said so at once, others when they cannot come back', async () => {
    const clock = new VirtualClock()
    const [leader, second, third] = [open({}, { clock }), open(), open()] as const
    await second.connection.send('a').delivered
    await third.connection.send('b').delivered
    expect(site.marks.size).toBe(2)
    second.kill()
    await forgetting(clock, 30)
    expect(site.marks.size).toBe(2)
    await third.connection.close()
    await until(() => site.marks.size === 1, 'the tab that said so is forgotten')
    expect([...site.marks.keys()]).toEqual([second.connection.tab])
    await forgetting(clock)
    await until(() => site.marks.size === 0, 'the other is forgotten, while the same tab leads')
    expect(leader.connection.leads).toBe(true)
  })

  it('forgets what a tab left that was gone long before this one came', async () => {
    open({}, { clock: new VirtualClock(0, 1_000_000) })
    await [...site.members][0]?.connection.send('a').delivered
    const [first] = [...site.members] as [Tab]
    first.kill()
    open({}, { clock: new VirtualClock(0, 1_000_000 + 3_600_000) })
    await until(() => site.marks.size === 0, 'the tab is forgotten')
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
