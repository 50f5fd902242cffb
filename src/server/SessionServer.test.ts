// Sessions on real sockets, spoken to frame by frame.

import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { WebSocketServer } from 'ws'
import { rawSocket, upgradeHead } from '../../tests/support/backendClients.ts'
import { FrameClient, listen } from '../../tests/support/frameClient.ts'
import { until } from '../../tests/support/misbehavingServer.ts'
import type { Session, SessionMessageContext } from './Session.ts'
import { SessionServer } from './SessionServer.ts'
import type { SessionServerOptions } from './sessionServerOptions.ts'

let server: SessionServer
let http: Awaited<ReturnType<typeof listen>>
let sessions: Session[]
let handled: string[]
const clients: FrameClient[] = []

/** A server whose sessions note what they are told. */
async function start(options: SessionServerOptions = {}, onSession?: (session: Session) => void) {
  http = await listen()
  sessions = []
  handled = []
  server = new SessionServer(options)
  server.onSession((session) => {
    sessions.push(session)
    if (onSession) onSession(session)
    else session.handle((data) => void handled.push(typeof data === 'string' ? data : JSON.stringify(data)))
  })
  server.attach(http.http)
}
const client = (options: ConstructorParameters<typeof FrameClient>[1] = {}) => {
  const made = new FrameClient(http.port, options)
  clients.push(made)
  return made
}
const session = (index = 0) => sessions[index] as Session
afterEach(async () => {
  for (const { socket } of clients.splice(0)) socket.terminate()
  await server.close({ graceMs: 0 })
  await http.close()
})

describe('a session', () => {
  it('is opened with a name, a key and the limits, and carries messages both ways', async () => {
    await start()
    const one = client()
    const opened = await one.open()
    expect(opened).toEqual({
      t: 'opened',
      sid: expect.stringMatching(/^[\w-]{22}$/),
      key: expect.stringMatching(/^[\w-]{43}$/),
      rx: 0,
      ttl: 300_000,
      maxMessages: 1024,
      maxBytes: 4 * 2 ** 20,
      maxFrame: 2 ** 20,
      ping: 30_000,
    })
    expect(session().id).toBe(opened.sid)
    expect(session().connected).toBe(true)
    one.say('1:Good day', '2:{"a":1}', '3:')
    await one.acked(3)
    expect(handled).toEqual(['Good day', '{"a":1}'])
    const receipt = session().send({ b: 2 })
    session().send('text')
    expect(await one.heard(2)).toEqual(['1:{"b":2}', '2:text'])
    one.say({ t: 'ack', rx: 1 })
    await receipt.stored
    await receipt.delivered
    expect(session().queuedMessages).toBe(1)
    expect(server.getStats()).toMatchObject({
      sessions: 1,
      connections: 1,
      messagesIn: 2,
      messagesOut: 2,
      acked: 1,
    })
  })

  it('carries bytes on their stream, and volatile messages of both kinds', async () => {
    const told: unknown[] = []
    await start({}, (made) => {
      made.handle((data, { stream }) => void told.push(stream, data))
      made.on('volatile', (data, stream) => told.push(stream, data))
    })
    const one = client()
    await one.open()
    one.say(Uint8Array.of(1, 7, 0, 0, 0, 1, 65, 66), Uint8Array.of(0, 9, 67), ':{"x":1}', ':')
    await until(() => told.length === 8, 'all four are told')
    expect(told).toEqual([
      7,
      Uint8Array.of(65, 66).buffer,
      9,
      Uint8Array.of(67).buffer,
      undefined,
      { x: 1 },
      undefined,
      '',
    ])
    session().send(Uint8Array.of(1, 2), { stream: 3 })
    session().send(Uint8Array.of(4).buffer, { stream: 5, volatile: true })
    session().send({ now: true }, { volatile: true })
    await until(() => one.frames.includes(':{"now":true}'), 'the last of three comes')
    expect(one.frames.slice(-3)).toEqual(['0103000000010102', '000504', ':{"now":true}'])
  })

  it('goes on over another connection: each side sends what the other has not taken, the handlers run on', async () => {
    const contexts: SessionMessageContext[] = []
    const events: string[] = []
    const first = Promise.withResolvers<void>()
    await start({}, (made) => {
      made.handle(async (data, context) => {
        handled.push(String(data))
        contexts.push(context)
        if (data === 'a') await first.promise
      })
      made.on('connected', ({ resumed }) => events.push(`connected ${resumed}`))
      made.on('disconnected', () => events.push('disconnected'))
    })
    const one = client()
    const opened = await one.open()
    one.say('1:a', '2:b')
    await until(() => handled.length === 2, 'both have begun')
    session().send('x')
    session().send('y')
    await one.heard(2)
    await one.cut()
    await until(() => !session().connected, 'the cut is seen')
    const receipt = session().send('z')
    const two = client()
    const resumed = await two.resume(opened, 1, 1, '1:a', '2:b', '3:c')
    expect(resumed).toMatchObject({ rx: 0 })
    expect(await two.heard(2)).toEqual(['2:y', '3:z'])
    first.resolve()
    await two.acked(3)
    expect(handled).toEqual(['a', 'b', 'c'])
    expect(contexts.map(({ id, redelivered }) => [id, redelivered])).toEqual([
      [`${opened.sid}/1`, false],
      [`${opened.sid}/2`, false],
      [`${opened.sid}/3`, false],
    ])
    two.say({ t: 'ack', rx: 3 })
    await receipt.delivered
    expect(events).toEqual(['connected false', 'disconnected', 'connected true'])
    expect(sessions).toHaveLength(1)
    expect(server.getStats()).toMatchObject({ resumes: 1, sessions: 1 })
  })

  it('acknowledges what its handlers have settled, up to the first that has not', async () => {
    const settle: (() => void)[] = []
    await start({}, (made) => made.handle(() => new Promise<void>((resolve) => settle.push(resolve))))
    const one = client()
    await one.open()
    one.say('1:a', '2:b', '3:c')
    await until(() => settle.length === 3, 'all three have begun')
    settle[0]?.()
    settle[2]?.()
    await one.acked(1)
    expect(one.control('ack')).toEqual({ t: 'ack', rx: 1 })
    settle[1]?.()
    await one.acked(3)
  })

  it('a handler that throws or rejects, and JSON that is none, are errors and count as handled', async () => {
    const errors: unknown[] = []
    await start({}, (made) => {
      made.on('error', (error) => errors.push(error))
      made.handle((data) => {
        if (data === 'throw') throw new Error('thrown')
        return Promise.reject(new Error('rejected'))
      })
    })
    const one = client()
    await one.open()
    one.say('1:throw', '2:reject', '3:{"a":', '4:[1')
    await one.acked(4)
    expect(errors.map((error) => (error as Error).message)).toEqual(
      expect.arrayContaining(['thrown', 'rejected', 'a message began like JSON and was none']),
    )
    expect(errors).toHaveLength(4)
  })

  it('errors that no listener of the session hears go to the server', async () => {
    await start({}, (made) =>
      made.handle(() => {
        throw new Error('nobody hears')
      }),
    )
    const errors: unknown[] = []
    server.on('error', (error, of) => errors.push((error as Error).message, of?.id))
    const one = client()
    const { sid } = await one.open()
    one.say('1:x')
    await one.acked(1)
    expect(errors).toEqual(['nobody hears', sid])
  })

  it('a handler that takes too long is reported and counts as settled', async () => {
    const errors: string[] = []
    await start({ handlerTimeout: 20 }, (made) => {
      made.handle(() => new Promise(() => {}))
      made.on('error', (error) => errors.push((error as { code: string }).code))
    })
    const one = client()
    await one.open()
    one.say('1:x')
    await one.acked(1)
    expect(errors).toEqual(['TIMEOUT'])
  })

  it('without a handler, taking a message is handling it; listeners observe, one that throws is reported', async () => {
    const seen: unknown[] = []
    await start({}, (made) => {
      made.on('message', (data) => seen.push(data))
      made.on('message', () => {
        throw 'thrown'
      })
      made.on('error', (error) => seen.push(error))
    })
    const one = client()
    await one.open()
    one.say('1:x')
    await one.acked(1)
    expect(seen).toEqual(['x', 'thrown'])
  })

  it('without a store, record just runs', async () => {
    await start({}, (made) =>
      made.handle(async (data, { record }) => {
        handled.push(await record((database) => `${data} ${database}`))
      }),
    )
    const one = client()
    await one.open()
    one.say('1:x')
    await one.acked(1)
    expect(handled).toEqual(['x undefined'])
  })

  it('interrupts a stream, and is interrupted', async () => {
    const flushed: number[] = []
    const sounds: unknown[] = []
    await start({}, (made) => {
      made.on('flush', (stream) => flushed.push(stream))
      made.on('volatile', (data) => sounds.push(data))
    })
    const one = client()
    await one.open()
    one.say({ t: 'flush', stream: 4 })
    await until(() => one.control('flushed') !== undefined, '"flushed" comes')
    expect(flushed).toEqual([4])
    expect(session().interrupt(2)).toBe(true)
    await until(() => one.control('flush') !== undefined, '"flush" comes')
    one.say(
      Uint8Array.of(0, 2, 1),
      Uint8Array.of(0, 3, 1),
      { t: 'flushed', stream: 2 },
      Uint8Array.of(0, 2, 2),
    )
    await until(() => sounds.length === 2, 'what is not ignored is told')
    expect(sounds).toEqual([Uint8Array.of(1).buffer, Uint8Array.of(2).buffer])
  })

  it('a message is cancelled while it waits, dropped when it waits too long, and counted', async () => {
    const dropped: unknown[] = []
    await start({ maxMessages: 1 }, (made) => made.on('dropped', (message) => dropped.push(message)))
    const one = client()
    await one.open()
    session().send('in the window')
    const cancelled = session().send('cancelled')
    const expired = session().send('expired', { ttl: 1 })
    const low = session().send('low')
    session().send('high', { priority: 1 })
    expect(cancelled.cancel()).toBe(true)
    expect(cancelled.cancel()).toBe(false)
    await expect(cancelled.delivered).rejects.toMatchObject({ code: 'CANCELLED' })
    await expect(expired.delivered).rejects.toMatchObject({ code: 'DROPPED' })
    expect(dropped).toEqual([{ id: expired.id, reason: 'expired', data: 'expired' }])
    one.say({ t: 'ack', rx: 1 })
    expect(await one.heard(2)).toEqual(['1:in the window', '2:high'])
    expect(low.cancel()).toBe(true)
  })

  it('what does not fit behind the window follows the overflow policy', async () => {
    await start({ maxMessages: 1, maxQueueMessages: 1, overflow: 'reject' }, () => {})
    await client().open()
    session().send('window')
    session().send('queue')
    expect(() => session().send('too much')).toThrow(expect.objectContaining({ code: 'QUEUE_FULL' }))
    expect(server.broadcast('too much')).toBe(0)
  })

  it('all queues together are bounded: sends are dropped, new sessions are told 4429', async () => {
    await start({ maxTotalQueueBytes: 10 }, () => {})
    await client().open()
    session().send('0123456789')
    const refused = session().send('one more')
    await expect(refused.stored).rejects.toMatchObject({ code: 'DROPPED' })
    const two = client()
    await expect(two.open()).rejects.toThrow('closed with 4429')
  })

  it('a listener that sends again what was dropped holds up nobody', async () => {
    await start({ maxTotalQueueBytes: 10 }, (made) => {
      made.on('dropped', ({ data }) => made.send(data))
    })
    const one = client()
    await one.open()
    session().send('much too much for it')
    one.say({ t: 'ping', at: 1 })
    await until(() => one.control('pong') !== undefined, 'the server answers')
    session().close()
    const dropped = server.getStats().dropped
    session().send('late')
    expect(server.getStats().dropped).toBe(dropped + 1)
  })

  it('refuses what cannot be sent', async () => {
    await start({ maxFrame: 10 })
    await client().open()
    for (const wrong of ['', 'x'.repeat(11), undefined, () => {}, 1n]) {
      expect(() => session().send(wrong)).toThrow(expect.objectContaining({ code: 'BAD_REQUEST' }))
    }
    expect(() => session().send('x', { stream: 256 })).toThrow(/"stream"/)
    expect(() => session().send('x', { ttl: -1 })).toThrow(/"ttl"/)
    expect(() => session().handle('no function' as never)).toThrow(TypeError)
  })

  it('broadcasts to every session', async () => {
    await start()
    const two = [client(), client()]
    for (const each of two) await each.open()
    expect(server.broadcast({ news: 1 })).toBe(2)
    for (const each of two) expect(await each.heard(1)).toEqual(['1:{"news":1}'])
  })

  it('an unheard rejection of a receipt is nobody’s death', async () => {
    await start()
    await client().open()
    const receipt = session().send('x')
    void receipt.delivered
    session().close()
    await expect(receipt.delivered).rejects.toMatchObject({ code: 'SESSION_LOST' })
    const late = session().send('late')
    void late.stored
    await expect(late.delivered).rejects.toMatchObject({ code: 'DROPPED' })
  })

  it('ready waits while something waits behind the window', async () => {
    await start({ maxMessages: 1 }, () => {})
    const one = client()
    await one.open()
    await session().ready()
    session().send('a')
    session().send('b')
    let ready = false
    const waited = session()
      .ready()
      .then(() => {
        ready = true
      })
    await one.heard(1)
    expect(ready).toBe(false)
    one.say({ t: 'ack', rx: 1 })
    await waited
    session().send('c')
    const never = session().ready()
    session().close()
    await expect(never).rejects.toMatchObject({ code: 'SESSION_LOST' })
  })
})

describe('how a session ends', () => {
  it('its client closes it: 1000, and its number can be resumed no more', async () => {
    const ends: unknown[] = []
    await start({}, (made) => made.on('closed', (end) => ends.push(end)))
    const one = client()
    const opened = await one.open()
    session().send('unheard')
    one.say('1:x', { t: 'close' })
    expect(await one.closing()).toMatchObject({ code: 1000 })
    expect(one.control('ack')).toEqual({ t: 'ack', rx: 1 })
    expect(ends).toEqual([{ by: 'client', inDoubt: [{ id: 'm1', data: 'unheard' }] }])
    expect(session().over).toBe(true)
    const two = client()
    await expect(two.resume(opened, 1, 0)).rejects.toThrow('closed with 4410 unknown session')
    expect(server.sessions.size).toBe(0)
  })

  it('the app closes it: 4410', async () => {
    const ends: unknown[] = []
    await start({}, (made) => made.on('closed', (end) => ends.push(end)))
    const one = client()
    await one.open()
    session().close()
    session().close()
    expect(await one.closing()).toEqual({ code: 4410, reason: 'ended by the server' })
    expect(ends).toEqual([{ by: 'server', inDoubt: [] }])
  })

  it('its client stays away too long: what it did not acknowledge is in doubt, what waited is dropped', async () => {
    const told: unknown[] = []
    await start({ ttl: 30, maxMessages: 1 }, (made) => {
      made.on('lost', (end) => told.push(end))
      made.on('dropped', (message) => told.push(message))
    })
    const one = client()
    const opened = await one.open()
    session().send('doubtful')
    session().send('waiting')
    await one.cut()
    await until(() => told.length === 2, 'it expires')
    expect(told).toEqual([
      { id: 'm2', reason: 'closed', data: 'waiting' },
      { reason: 'expired', inDoubt: [{ id: 'm1', data: 'doubtful' }] },
    ])
    await expect(client().resume(opened, 1, 0)).rejects.toThrow('closed with 4410')
    expect(server.getStats()).toMatchObject({ sessions: 0, losses: 1, queuedBytes: 0 })
  })

  it('the client may wish for a shorter life', async () => {
    await start()
    expect(await client().open({ ttl: 5 })).toMatchObject({ ttl: 5 })
    expect(await client().open({ ttl: 9e9 })).toMatchObject({ ttl: 300_000 })
  })

  it('one side has lost memory: 4410', async () => {
    const ends: unknown[] = []
    await start({}, (made) => made.on('lost', ({ reason }) => ends.push(reason)))
    const one = client()
    const opened = await one.open()
    await one.cut()
    await expect(client().resume(opened, 1, 5)).rejects.toThrow('closed with 4410')
    expect(ends).toEqual(['memory'])
  })

  it('a listener of onSession throws: the session ends, its messages are not lost in silence', async () => {
    await start({}, () => {
      throw new Error('no handler yet')
    })
    const errors: unknown[] = []
    server.on('error', (error) => errors.push((error as Error).message))
    const one = client()
    await one.open()
    expect(await one.closing()).toMatchObject({ code: 4410 })
    expect(errors).toEqual(['no handler yet'])
    expect(server.sessions.size).toBe(0)
  })
})

describe('what a connection may not do', () => {
  it.each([
    ['says something else first', '1:hello'],
    ['says no JSON first', '{"t":'],
    ['opens with a wrong type', '{"t":"open","ttl":"long"}'],
    ['resumes with a wrong epoch', '{"t":"resume","sid":"s","key":"k","epoch":0,"rx":0}'],
    ['says too much first', `{"t":"open","auth":"${'x'.repeat(4096)}"}`],
    ['begins with bytes', Uint8Array.of(1, 2, 3)],
    ['says nothing at all', ''],
  ])('%s: 4400', async (_, first) => {
    await start()
    const one = await client().connected()
    one.say(first)
    expect(await one.closing()).toMatchObject({ code: 4400 })
    expect(server.getStats()).toMatchObject({ sessions: 0, connections: 0 })
  })

  it.each([
    ['a gap', '2:x'],
    ['a leading zero', '01:x'],
    ['no number', 'x'],
    ['a number without end', '1'.repeat(100_000)],
    ['a broken control', '{"t":"ack","rx":-1}'],
    ['a control without a name', '{}'],
    ['an ack of what was never sent', '{"t":"ack","rx":1}'],
    ['another open', '{"t":"open"}'],
    ['bytes of no kind', Uint8Array.of(7, 7)],
    ['no bytes', new Uint8Array()],
    ['a number of zero', Uint8Array.of(1, 0, 0, 0, 0, 0)],
  ])('within a session, %s: 4400, and the session waits', async (_, frame) => {
    await start()
    const one = client()
    const opened = await one.open()
    one.say(frame, '1:after')
    expect(await one.closing()).toMatchObject({ code: 4400 })
    await client().resume(opened, 1, 0, '1:again')
    await until(() => handled.length > 0, 'it goes on')
    expect(handled).toEqual(['again'])
  })

  it('whatever it is sent, the server stands', async () => {
    await start({ maxSessionsPerPrincipal: Infinity }, (made) => made.handle(() => {}).on('error', () => {}))
    const frame = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 20 }),
      fc.json().map((json) => `{"t":${json}}`),
      fc
        .tuple(
          fc.constantFrom(
            'open',
            'resume',
            'opened',
            'ack',
            'ping',
            'pong',
            'flush',
            'flushed',
            'goaway',
            'close',
          ),
          fc.dictionary(
            fc.constantFrom('rx', 'at', 'stream', 'sid', 'key', 'epoch', 'ttl', 'auth', 'after', '__proto__'),
            fc.jsonValue({ maxDepth: 1 }),
          ),
        )
        .map(([t, members]) => JSON.stringify({ ...members, t })),
      fc.tuple(fc.nat(3), fc.string()).map(([number, text]) => `${number}:${text}`),
      fc.uint8Array({ maxLength: 10 }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(frame, { minLength: 1, maxLength: 8 }),
        fc.boolean(),
        async (frames, opens) => {
          const one = client()
          if (opens) await one.open()
          else await one.connected()
          one.say(...frames)
          await one.cut()
        },
      ),
      { numRuns: 100 },
    )
    const last = client()
    await last.open()
    last.say('1:still here')
    await last.acked(1)
    await until(() => server.getStats().connections === 1, 'only the last is left')
  })

  it('unknown control messages and members are ignored', async () => {
    await start()
    const one = client()
    await one.open({ more: true })
    one.say({ t: 'weather' }, { t: 'constructor' }, { t: 'ping', at: 5, more: 1 }, '1:x')
    await one.acked(1)
    expect(one.control('pong')).toEqual({ t: 'pong', at: 5 })
  })

  it('says nothing for ten seconds: 4408', async () => {
    const { VirtualClock } = await import('../testing/VirtualClock.ts')
    const clock = new VirtualClock()
    await start({ clock })
    const one = await client().connected()
    await until(() => server.getStats().connections === 1, 'it is known')
    await clock.advance(9_999)
    expect(one.closed).toBeUndefined()
    await clock.advance(1)
    expect(await one.closing()).toMatchObject({ code: 4408 })
  })

  it('sends more than maxFrame: 1009, and the session waits', async () => {
    await start({ maxFrame: 20_000 })
    const one = client()
    const opened = await one.open()
    one.say(`1:${'x'.repeat(20_000)}`)
    await one.acked(1)
    one.say(`2:${'x'.repeat(20_100)}`)
    expect(await one.closing()).toMatchObject({ code: 1009 })
    expect(await client().resume(opened, 1, 0)).toMatchObject({ rx: 1 })
  })

  it('a newer epoch closes the older connection, and a late ghost is closed itself: 4409', async () => {
    await start()
    const one = client()
    const opened = await one.open()
    const two = client()
    await two.resume(opened, 2, 0)
    expect(await one.closing()).toMatchObject({ code: 4409 })
    one.say('1:from the grave')
    const ghost = client()
    await expect(ghost.resume(opened, 2, 0)).rejects.toThrow('closed with 4409')
    await expect(client().resume(opened, 1, 0)).rejects.toThrow('closed with 4409')
    two.say('1:alive')
    await two.acked(1)
    expect(handled).toEqual(['alive'])
    expect(two.closed).toBeUndefined()
  })

  it('an unknown session and a wrong key look alike: 4410', async () => {
    await start()
    const opened = await client().open()
    for (const wrong of [
      { sid: 'unknown', key: opened.key },
      { sid: opened.sid, key: 'wrong' },
      { sid: opened.sid, key: '' },
      { sid: '__proto__', key: opened.key },
    ]) {
      await expect(client().resume(wrong, 1, 0)).rejects.toThrow('closed with 4410 unknown session')
    }
    expect(session().connected).toBe(true)
  })

  it('pings without reading: one pong is kept, and answers the latest', async () => {
    await start({ controlsPerSecond: 1e9 })
    const one = client()
    await one.open()
    one.socket.pause()
    const pings = 400_000
    for (let at = 1; at <= pings; at += 1) {
      one.socket.send(`{"t":"ping","at":${at}}`)
      if (at % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    // What the system's buffers hold was sent before anybody could know.
    expect(session().connected).toBe(true)
    one.socket.resume()
    await until(() => one.frames.at(-1) === `{"t":"pong","at":${pings}}`, 'the latest is answered')
    expect(one.frames.length).toBeLessThan(pings)
  })

  it('interrupts without reading: it is answered as often as it has asked, once it reads', async () => {
    await start({ controlsPerSecond: 1e9 })
    const one = client()
    await one.open()
    one.socket.pause()
    const interrupts = 300_000
    for (let index = 1; index <= interrupts; index += 1) {
      one.socket.send('{"t":"flush","stream":7}')
      if (index % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    expect(session().connected).toBe(true)
    one.socket.resume()
    const answered = () => one.frames.reduce((sum, frame) => sum + (frame.includes('flushed') ? 1 : 0), 0)
    await until(() => one.frames.length > interrupts, 'all are answered')
    expect(answered()).toBe(interrupts)
  })
})

describe('who is let in', () => {
  it('only who offers guru.v1: others are refused, or handed over', async () => {
    await start()
    expect(await client({ protocols: [] }).refusal()).toBe(400)
    expect(await client({ protocols: ['other'] }).refusal()).toBe(400)
    const both = client({ protocols: ['other', 'guru.v1'] })
    await both.open()
    expect(both.socket.protocol).toBe('guru.v1')
    await server.close({ graceMs: 0 })
    await http.close()
    const plain = new WebSocketServer({ noServer: true })
    await start({
      plain: (request, socket, head) =>
        plain.handleUpgrade(request, socket, head, (webSocket) => webSocket.close(3000, 'plain')),
    })
    expect(await client({ protocols: [] }).closing()).toEqual({ code: 3000, reason: 'plain' })
    await client().open()
  })

  it('only on its path, unless others listen for the rest', async () => {
    await start()
    expect(await client({ path: '/other' }).refusal()).toBe(404)
    const others = new WebSocketServer({ noServer: true })
    http.http.on('upgrade', (request, socket, head) => {
      if (request.url === '/other')
        others.handleUpgrade(request, socket, head, (webSocket) => webSocket.close(3001, 'other'))
    })
    expect(await client({ path: '/other' }).closing()).toMatchObject({ code: 3001 })
    await client({ path: '/ws?more=1' }).open()
  })

  it('only pages of allowed origins, and under allowed names', async () => {
    await start({ allowedOrigins: ['https://app.example'], allowedHosts: ['127.0.0.1'] })
    expect(await client({ origin: 'https://evil.example' }).refusal()).toBe(403)
    expect(await client({ headers: { host: 'evil.example' } }).refusal()).toBe(403)
    await client({ origin: 'https://app.example' }).open()
    await client({ origin: `http://127.0.0.1:${http.port}` }).open()
  })

  it('whoever authenticate knows, by the first frame or by the upgrade: else 4401', async () => {
    const asked: (string | undefined)[] = []
    await start({
      async authenticate(_request, auth) {
        asked.push(auth)
        if (auth === 'broken') throw new Error('the user store is down')
        return auth?.startsWith('token of ') ? auth.slice(9) : undefined
      },
    })
    const errors: unknown[] = []
    server.on('error', (error) => errors.push((error as Error).message))
    await client().open({ auth: 'token of ada' })
    await client({ headers: { authorization: 'Bearer token of bob' } }).open()
    await client({ headers: { authorization: 'Bearer token of bob' } }).open({ auth: 'token of eve' })
    expect(sessions.map(({ principal }) => principal)).toEqual(['ada', 'bob', 'eve'])
    for (const open of [{}, { auth: 'wrong' }, { auth: 'broken' }]) {
      await expect(client().open(open)).rejects.toThrow('closed with 4401 not authenticated')
    }
    expect(errors).toEqual(['the user store is down'])
    expect(asked).toHaveLength(6)
  })

  it('a session belongs to the principal that opened it', async () => {
    await start({ authenticate: (_request, auth) => auth })
    const opened = await client().open({ auth: 'ada' })
    const eve = await client().connected()
    eve.say({ ...opened, t: 'resume', auth: 'eve', epoch: 1, rx: 0 })
    expect(await eve.closing()).toEqual({ code: 4410, reason: 'unknown session' })
    const ada = await client().connected()
    ada.say({ ...opened, t: 'resume', auth: 'ada', epoch: 1, rx: 0 })
    await ada.opened()
  })

  it('while it is asked who that is, the frames behind wait, in order', async () => {
    const answer = Promise.withResolvers<string>()
    await start({ authenticate: () => answer.promise })
    const one = client()
    const opened = one.open()
    await one.connected()
    one.say(...Array.from({ length: 50 }, (_, index) => `${index + 1}:${index}`))
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(handled).toEqual([])
    answer.resolve('ada')
    await opened
    await until(() => handled.length === 50, 'all are handled')
    expect(handled).toEqual(Array.from({ length: 50 }, (_, index) => String(index)))
  })

  it('an authenticate that does not answer in time refuses', async () => {
    await start({ authenticate: () => new Promise(() => {}), authenticateTimeout: 20 })
    await expect(client().open()).rejects.toThrow('closed with 4401')
  })

  it('so many sessions of a principal; detached ones that were never heard from go first', async () => {
    await start({ authenticate: (_request, auth) => auth, maxSessionsPerPrincipal: 2 })
    const first = client()
    await first.open({ auth: 'ada' })
    const heard = client()
    await heard.open({ auth: 'ada' })
    await expect(client().open({ auth: 'ada' })).rejects.toThrow('closed with 4429')
    await client().open({ auth: 'bob' })
    heard.say('1:x')
    await heard.acked(1)
    await heard.cut()
    await expect(client().open({ auth: 'ada' })).rejects.toThrow('closed with 4429')
    await first.cut()
    await until(() => !session().connected, 'the cut is seen')
    await client().open({ auth: 'ada' })
    expect(session().over).toBe(true)
  })

  it('without authenticate, so many sessions of an address', async () => {
    await start({
      maxSessionsPerPrincipal: 2,
      addressOf: ({ headers }) => String(headers['x-real-ip'] ?? 'one'),
    })
    const first = client()
    await first.open()
    const opened = await client().open()
    await expect(client().open()).rejects.toThrow('closed with 4429')
    await client({ headers: { 'x-real-ip': 'two' } }).open()
    await client().resume(opened, 1, 0)
    await first.cut()
    await until(() => !session().connected, 'the cut is seen')
    await client().open()
    expect(session().over).toBe(true)
  })

  it('so many sessions in all', async () => {
    await start({ maxSessions: 1 })
    await client().open()
    await expect(client().open()).rejects.toThrow('closed with 4429')
  })

  it.each([
    ['in all', { maxConnections: 2 }],
    ['of an address', { maxConnectionsPerAddress: 2 }],
  ])('so many connections %s', async (_, limit) => {
    await start(limit)
    const one = await client().connected()
    await client().connected()
    expect(await client().closing()).toMatchObject({ code: 4429 })
    await one.cut()
    await until(() => server.getStats().connections === 1, 'its place is free')
    await client().open()
  })

  it('bytes that are no WebSocket harm nobody', async () => {
    await start()
    const garbage = await rawSocket(http.port, upgradeHead('/ws', 'Sec-WebSocket-Protocol: guru.v1\r\n'))
    await until(() => garbage.text().includes('101'), 'the upgrade is answered')
    garbage.socket.write(Buffer.from('this is no frame of any kind, whatever it is'))
    await until(() => server.getStats().connections === 0, 'it is gone')
    garbage.socket.destroy()
    const broken = await rawSocket(
      http.port,
      upgradeHead('/ws', 'Sec-WebSocket-Protocol: guru.v1, ,, guru.v1\r\n'),
    )
    await until(() => broken.text().includes('400'), 'a broken list is refused')
    broken.socket.destroy()
    await client().open()
  })
})

describe('over a WebSocketServer of ws', () => {
  it('takes those that have selected guru.v1 and leaves the others alone', async () => {
    http = await listen()
    const webSockets = new WebSocketServer({
      server: http.http,
      handleProtocols: (offered) => offered.has('guru.v1') && 'guru.v1',
    })
    webSockets.on('connection', (socket) => {
      if (socket.protocol === '') socket.close(3002, 'plain')
    })
    server = new SessionServer()
    sessions = []
    server.onSession((made) => sessions.push(made)).attach(webSockets)
    const one = client()
    await one.open()
    session().send('hello')
    expect(await one.heard(1)).toEqual(['1:hello'])
    expect(await client({ protocols: [] }).closing()).toMatchObject({ code: 3002 })
    expect(await client({ origin: 'https://evil.example' }).closing()).toMatchObject({ code: 1008 })
  })

  it('does not share a compression context with keys', async () => {
    await start()
    const compressing = new WebSocketServer({ noServer: true, perMessageDeflate: true })
    expect(() => server.attach(compressing)).toThrow(/perMessageDeflate/)
  })
})

describe('the types of messages', () => {
  it('are those that the app names: what comes in, what goes out', async () => {
    interface Order {
      item: string
    }
    const typed = new SessionServer<{ in: Order; out: { took: string } }>()
    typed.onSession((made) => {
      made.handle(({ item }) => void made.send({ took: item.toUpperCase() }))
      made.on('message', ({ item }) => item.length)
      // @ts-expect-error: nothing of the kind goes out
      made.on('connected', () => made.send({ taken: 'tea' }))
    })
    // @ts-expect-error: nor from here
    expect(typed.broadcast({ taken: 'tea' })).toBe(0)
    expect(typed.broadcast({ took: 'tea' })).toBe(0)
    await typed.close()
  })
})

describe('options', () => {
  it.each([
    [{ ttl: -1 }, /"ttl"/],
    [{ maxFrame: 0 }, /"maxFrame"/],
    [{ maxFrame: 11, maxBytes: 10 }, /"maxFrame" must be at most "maxBytes"/],
    [{ overflow: 'explode' }, /"overflow"/],
    [{ store: {} }, /"store"/],
    [{ maxframe: 1 }, /spelt "maxFrame"/],
  ])('%o is refused', (options, message) => {
    expect(() => new SessionServer(options as never)).toThrow(message)
  })

  it('attach wants somebody who sees the sessions', async () => {
    await start()
    expect(() => new SessionServer().attach(http.http)).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED', message: expect.stringContaining('onSession first') }),
    )
    expect(() => server.attach(8000 as never)).toThrow(
      'SessionServer.attach: option "server" must be a server of node:http, node:https or ws, got 8000',
    )
    expect(() => server.attach(http.http, { path: 5 as never })).toThrow(/"path"/)
    expect(() => server.onSession(undefined as never)).toThrow(TypeError)
    await expect(server.drain({ spreadMs: -1 })).rejects.toThrow(/"spreadMs"/)
    expect(() => server.close({ graceMs: -1 })).toThrow(/"graceMs"/)
  })
})

describe('leaving', () => {
  it('drain asks each client to go, at a random moment, and lets nobody in', async () => {
    let turn = 0
    await start({ random: () => [0.1, 0.9][turn++ % 2] as number })
    const [one, two] = [client(), client()]
    const opened = await one.open()
    await two.open()
    const drained = server.drain({ spreadMs: 1000, why: 'a new version' })
    await until(() => two.control('goaway') !== undefined, '"goaway" comes')
    expect(one.control('goaway')).toEqual({ t: 'goaway', after: 100, why: 'a new version' })
    expect(two.control('goaway')).toEqual({ t: 'goaway', after: 900, why: 'a new version' })
    expect(await client().refusal()).toBe(503)
    // Until then all goes on.
    one.say('1:still here')
    await one.acked(1)
    await one.cut()
    await two.cut()
    await drained
    expect(server.sessions.get(opened.sid)).toBe(session())
  })

  it('close waits for what is being handled, tells what it has, and ends sessions that nobody keeps', async () => {
    const more = Promise.withResolvers<void>()
    const ends: unknown[] = []
    await start({}, (made) => {
      made.handle(() => more.promise)
      made.on('lost', (end) => ends.push(end))
    })
    const one = client()
    await one.open()
    session().send('unheard')
    one.say('1:x')
    await until(() => server.getStats().messagesIn === 1, 'it is taken')
    const closed = server.close({ graceMs: 300 })
    expect(server.close()).toBe(closed)
    more.resolve()
    expect(await one.closing()).toMatchObject({ code: 4410 })
    expect(one.control('ack')).toEqual({ t: 'ack', rx: 1 })
    await closed
    expect(ends).toEqual([{ reason: 'shutdown', inDoubt: [{ id: 'm1', data: 'unheard' }] }])
    expect(http.http.listening).toBe(true)
  })

  it('close ends as soon as all is handled and acknowledged', async () => {
    const more = Promise.withResolvers<void>()
    const ends: unknown[] = []
    await start({}, (made) => {
      made.handle(() => more.promise)
      made.on('lost', ({ inDoubt }) => ends.push(inDoubt))
    })
    const one = client()
    await one.open()
    session().send('heard')
    one.say('1:x')
    await until(() => server.getStats().messagesIn === 1, 'it is taken')
    const closed = server.close({ graceMs: 1_000_000 })
    await one.heard(1)
    more.resolve()
    one.say({ t: 'ack', rx: 1 })
    await closed
    await one.closing()
    expect(one.control('ack')).toEqual({ t: 'ack', rx: 1 })
    expect(ends).toEqual([[]])
  })

  it('close ends at once when nothing is under way', async () => {
    await start()
    const one = client()
    await one.open()
    const fresh = await client().connected()
    await server.close({ graceMs: 60_000 })
    expect(await one.closing()).toMatchObject({ code: 4410 })
    expect(await fresh.closing()).toMatchObject({ code: 1001 })
    await server[Symbol.asyncDispose]()
  })

  it('close cuts who does not answer', async () => {
    await start()
    const deaf = await rawSocket(http.port, upgradeHead('/ws', 'Sec-WebSocket-Protocol: guru.v1\r\n'))
    await until(() => server.getStats().connections === 1, 'it is open')
    await server.close({ graceMs: 0 })
    deaf.socket.destroy()
  })
})
