// How the lead goes from tab to tab when it does not go by itself: a page that is frozen, one that hangs, one whose
// `connect` fails, one of another version.

import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { listen } from '../../tests/support/frameClient.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import { Site, Tab } from '../../tests/support/sharedTabs.ts'
import type { Session } from '../server/Session.ts'
import { SessionServer } from '../server/SessionServer.ts'
import { VirtualClock } from '../testing/VirtualClock.ts'
import { ABSENT_MS } from './Absences.ts'
import type { SharedParts } from './parts.ts'

describe('the lead of a shared connection', () => {
  let http: Awaited<ReturnType<typeof listen>>
  let server: SessionServer
  let site: Site
  let handled: unknown[]
  let sessions: Session[]
  const open = (parts: Partial<SharedParts> = {}) =>
    new Tab(site, { url: `ws://127.0.0.1:${http.port}/ws` }, parts)
  const turn = () => new Promise(setImmediate)
  /** Time passes for a follower, and what it asks for is answered in between. */
  const pass = async (clock: VirtualClock, seconds: number) => {
    for (let second = 0; second < seconds; second += 1) {
      await clock.advance(1000)
      for (let count = 0; count < 5; count += 1) await turn()
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

  it('is given up by a page that is frozen, which sends on through the next, and may lead again', async () => {
    const [one, other] = [open(), open()] as const
    await other.connection.send('first').delivered
    one.connection.send('on the way')
    one.live('away')
    expect(one.connection.leads).toBe(false)
    const early = one.connection.send('while frozen')
    await until(() => other.connection.leads, 'the next leads')
    await other.connection.send('second').delivered
    one.live('back')
    one.live('back')
    await early.delivered
    expect(handled.toSorted()).toEqual(['first', 'on the way', 'second', 'while frozen'])
    other.live('away')
    await until(() => one.connection.leads, 'it leads again')
    await one.connection.send('third').delivered
    expect(handled).toHaveLength(5)
    expect(sessions).toHaveLength(1)
    other.live('back')
  })

  it('brings what the server says to a follower that only listens, when the leader is frozen', async () => {
    const [leader, listener] = [open(), open()] as const
    await leader.connection.send('hello').delivered
    const heard: unknown[] = []
    listener.connection.on('message', (message) => heard.push(message))
    leader.live('away')
    for (let n = 0; n < 20; n += 1) sessions[0]?.send({ n })
    await until(() => heard.length === 20, 'all of it')
    leader.live('back')
  })

  it('tells a page that was away for too long that nobody knows what became of its messages', async () => {
    const clock = new VirtualClock()
    const [leader, away] = [open(), open({ clock })] as const
    await away.connection.send('first').delivered
    leader.hold = true
    const lost = away.connection.send('on the way')
    await turn()
    const waiting: unknown[] = []
    away.connection.on('inDoubt', ({ id }) => waiting.push(id))
    away.live('away')
    await clock.advance(ABSENT_MS)
    leader.release()
    away.live('back')
    expect(waiting).toEqual([lost.id])
    await expect(lost.delivered).rejects.toMatchObject({ code: 'SESSION_LOST' })
    await away.connection.send('next').delivered
    expect(handled).toEqual(['first', 'on the way', 'next'])
  })

  it('is taken from a leader that hangs, which finds out and touches nothing', async () => {
    const clock = new VirtualClock()
    const [leader, follower] = [open(), open({ clock })] as const
    await follower.connection.send('first').delivered
    const heard: unknown[] = []
    leader.connection.on('message', (message) => heard.push(['old', message]))
    follower.connection.on('message', (message) => heard.push(['new', message]))
    // It hears nothing, and so does its line.
    leader.late = []
    const sent = follower.connection.send('second')
    await pass(clock, 12)
    expect(follower.connection.leads).toBe(true)
    await sent.delivered
    // Of the two ways to find out, one is a message that says who leads.
    leader.catchUp()
    await until(() => !leader.connection.leads, 'the old leader knows')
    await leader.connection.send('third').delivered
    await sessions[0]?.send('news').delivered
    await until(() => heard.length === 2, 'the news')
    expect(heard.toSorted()).toEqual([
      ['new', 'news'],
      ['old', 'news'],
    ])
    expect(handled).toEqual(['first', 'second', 'third'])
  })

  it('stays with a leader that answers, and is taken by nobody who slept', async () => {
    const clock = new VirtualClock()
    const [leader, follower] = [open(), open({ clock })] as const
    await follower.connection.send('first').delivered
    await pass(clock, 60)
    expect(leader.connection.leads).toBe(true)
    leader.late = []
    for (let round = 0; round < 5; round += 1) {
      // Its timers fire late, as those of a page that hung: what it has not heard may be waiting for it.
      clock.sleep(10_000)
      await pass(clock, 1)
    }
    expect(follower.connection.leads).toBe(false)
    leader.catchUp()
    for (let count = 0; count < 5; count += 1) await turn()
    await pass(clock, 20)
    expect(leader.connection.leads).toBe(true)
  })

  it('is asked for again when "connect" fails, by this tab and by others; what was sent waits', async () => {
    const clock = new VirtualClock()
    let fails = 3
    const errors: unknown[] = []
    const tab = open({ clock })
    await turn()
    tab.kill()
    const failing = open({
      clock,
      connect: (storage) => {
        fails -= 1
        if (fails >= 0) throw new Error('not now')
        return tab.connect(storage)
      },
    })
    failing.connection.on('error', (error) => errors.push(error.message))
    const receipt = failing.connection.send('in the end')
    await pass(clock, 10)
    await receipt.delivered
    expect(errors).toEqual(['not now', 'not now', 'not now'])
    expect(handled).toEqual(['in the end'])
  })

  it('is never taken from a tab of another version, and that is said once', async () => {
    const clock = new VirtualClock()
    const [old, tab] = [open(), open({ clock })] as const
    await turn()
    old.name = 'a tab of long ago'
    old.late = []
    const errors: string[] = []
    tab.connection.on('error', (error) => errors.push(error.message))
    for (const data of [{ t: 'led', term: 'x' }, { t: 'status' }, { v: 2 }, { v: 2, frames: [] }, 3])
      tab.hear(data)
    for (const frames of [[{ t: 'led' }], [{ t: 'constructor' }], [3], {}])
      tab.hear({ v: 1, from: 'x', leads: true, frames })
    tab.connection.send('waits')
    await pass(clock, 30)
    expect(tab.connection.leads).toBe(false)
    expect(errors).toHaveLength(4)
    expect(errors.join()).toMatch(/version 0.*version 2.*not the shape.*another version leads/)
    expect(tab.connection.getStats().unconfirmed).toBe(1)
  })

  it('ends everywhere when one tab wipes it, and begins anew after', async () => {
    const [leader, follower, third] = [open(), open(), open()] as const
    await follower.connection.send('first').delivered
    const errors: unknown[] = []
    for (const { connection } of [leader, third]) connection.on('error', (error) => errors.push(error.code))
    await follower.connection.wipe()
    await until(() => errors.length === 2, 'the others hear of it')
    expect(errors).toEqual(['DISPOSED', 'DISPOSED'])
    for (const { connection } of [leader, follower, third])
      expect(() => connection.send('late')).toThrow(expect.objectContaining({ code: 'DISPOSED' }))
    expect(site.marks.size).toBe(0)
    await until(() => site.leader === undefined, 'the lead is free')
    await open().connection.send('another session').delivered
    expect(sessions).toHaveLength(2)
  })

  it('has a bound to what waits for it, and what gives way is told', async () => {
    const limits = { maxQueueMessages: 2, maxQueueBytes: 100, overflow: 'drop-oldest' } as const
    const [leader, tab] = [open(), open({ limits })] as const
    await tab.connection.send('first').delivered
    leader.live('away')
    tab.live('away')
    const dropped: string[] = []
    tab.connection.on('dropped', ({ id }) => dropped.push(id))
    const receipts = ['a', 'b', 'c', 'x'.repeat(101)].map((text) => tab.connection.send(text))
    expect(dropped).toEqual([receipts[0]?.id, receipts[3]?.id])
    await expect(receipts[0]?.stored).rejects.toMatchObject({ code: 'DROPPED' })
    tab.live('back')
    await receipts[2]?.delivered
    expect(handled).toEqual(['first', 'b', 'c'])
    leader.live('back')
  })

  it('costs an overflow the same however many there were', async () => {
    const url = 'ws://127.0.0.1:9'
    const tab = new Tab(site, { url, maxQueueMessages: 100 })
    const dropped: string[] = []
    tab.connection.on('dropped', ({ id }) => dropped.push(id))
    let last = tab.connection.send('0')
    for (let n = 1; n < 20_000; n += 1) {
      last = tab.connection.send(`${n}`)
      if (n % 200 === 0) await last.stored
    }
    await last.stored
    expect(dropped).toHaveLength(19_900)
    // What is recorded with each message does not grow with those that were refused.
    for (const mark of site.marks.values()) expect(JSON.stringify(mark).length).toBeLessThan(500)
  })
})
