import { describe, expect, it } from 'vitest'
import { SessionPair } from '../../tests/support/sessionPair.ts'
import { Backlog, backlogEntries, newBacklog } from './backlog.ts'
import { type Entry, NEVER } from './entry.ts'
import { TEXT } from './frames.ts'
import { backlogDefaults, windowDefaults } from './limits.ts'

const texts = (handled: readonly { payload: unknown }[]) => handled.map(({ payload }) => payload)

describe('a session', () => {
  it('carries messages both ways and tells who sent them', () => {
    const pair = new SessionPair()
    pair.send('early')
    pair.connect()
    pair.run()
    pair.send('late')
    pair.push('news')
    pair.run()
    expect(texts(pair.serverHandled)).toEqual(['early', 'late'])
    expect(texts(pair.clientHandled)).toEqual(['news'])
    pair.advance(200)
    pair.run()
    expect(pair.delivered).toEqual([1, 2])
  })

  it('sends nothing but "open" before it is opened', () => {
    const pair = new SessionPair()
    pair.send('early')
    const connection = pair.connect()
    expect(connection.toServer).toEqual(['{"t":"open"}'])
  })

  it('goes on after a cut: each side sends what the other has not taken, once', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    for (const text of ['a', 'b', 'c']) pair.send(text)
    for (const text of ['x', 'y']) pair.push(text)
    pair.toServer()
    pair.toClient()
    pair.cut()
    pair.send('d')
    pair.push('z')
    pair.connect()
    pair.run()
    expect(texts(pair.serverHandled)).toEqual(['a', 'b', 'c', 'd'])
    expect(texts(pair.clientHandled)).toEqual(['x', 'y', 'z'])
    expect(pair.log).toContain('client resumed')
  })

  it('is not confused by an ack that was lost', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    pair.send('a')
    pair.toServer()
    pair.cut()
    expect(pair.delivered).toEqual([])
    pair.connect()
    pair.run()
    expect(pair.delivered).toEqual([1])
    expect(texts(pair.serverHandled)).toEqual(['a'])
  })

  it('acknowledges the settled prefix only', () => {
    const pair = new SessionPair()
    pair.settleAtOnce = false
    pair.connect()
    pair.run()
    for (const text of ['a', 'b', 'c']) pair.send(text)
    pair.run()
    const { sid } = pair.session.state.peer
    pair.session.peer.settled(sid, 1, pair.now)
    pair.carryOut()
    pair.session.peer.settled(sid, 3, pair.now)
    pair.carryOut()
    pair.advance(200)
    pair.run()
    expect(pair.delivered).toEqual([1])
    pair.session.peer.settled(sid, 2, pair.now)
    pair.carryOut()
    pair.advance(200)
    pair.run()
    expect(pair.delivered).toEqual([1, 2, 3])
  })

  it('closes an older connection when a newer one resumes, and the late ghost of one', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    const older = pair.connection
    pair.connection = undefined
    pair.client.closed(1006, 0)
    pair.carryOut()
    pair.connect()
    pair.run()
    expect(pair.log).toContain('server hangUp 4409 a newer epoch owns the session')
    const { sid } = pair.session.state.peer
    pair.table.arrived(99, 'someone', 0)
    pair.frame(99, JSON.stringify({ t: 'resume', sid, key: 'k1', epoch: 1, rx: 0 }))
    expect(pair.log.filter((line) => line.startsWith('server hangUp 4409'))).toHaveLength(2)
    expect(older).toBeDefined()
    pair.send('still')
    pair.run()
    expect(texts(pair.serverHandled)).toEqual(['still'])
  })

  it.each([
    ['an unknown session', { sid: 'nobody' }, 'someone'],
    ['a wrong key', { key: 'stolen' }, 'someone'],
    ['another principal', {}, 'somebody else'],
  ])('refuses %s, and all of them look alike', (_, wrong, principal) => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    const { sid } = pair.session.state.peer
    pair.table.arrived(99, principal, 0)
    pair.frame(99, JSON.stringify({ t: 'resume', sid, key: 'k1', epoch: 9, rx: 0, ...wrong }))
    expect(pair.log).toContain('server hangUp 4410 unknown session')
  })

  it('reports what is in doubt when the server has lost it, keeps what has no number, and opens anew at once', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    pair.send('doubtful')
    pair.cut()
    pair.send('kept')
    pair.session.end('ended')
    pair.carryOut()
    pair.connect()
    pair.run()
    expect(pair.log).toContain('client lost gone [1]')
    expect(pair.decision).toEqual({ action: 'now', notBefore: 0 })
    pair.connect()
    pair.run()
    expect(texts(pair.serverHandled)).toEqual(['kept'])
  })

  it('sends what was in doubt first in the next session, when asked to', () => {
    const pair = new SessionPair({ onSessionLost: 'resend' })
    pair.connect()
    pair.run()
    pair.send('doubtful')
    pair.cut()
    pair.send('later')
    pair.session.end('ended')
    pair.carryOut()
    pair.connect()
    pair.run()
    pair.connect()
    pair.run()
    expect(texts(pair.serverHandled)).toEqual(['doubtful', 'later'])
  })

  it('never has more unacknowledged than the window, and none of it is dropped', () => {
    const pair = new SessionPair({ limits: { maxMessages: 2 }, maxQueueMessages: 1, overflow: 'drop-oldest' })
    pair.settleAtOnce = false
    pair.connect()
    pair.run()
    for (const text of ['a', 'b', 'c', 'd']) pair.send(text)
    pair.run()
    expect(texts(pair.serverHandled)).toEqual(['a', 'b'])
    expect(pair.log).toContain('client dropped 3 overflow')
    const { sid } = pair.session.state.peer
    pair.session.peer.settled(sid, 1, pair.now)
    pair.carryOut()
    pair.run()
    expect(texts(pair.serverHandled)).toEqual(['a', 'b', 'd'])
  })

  it('empties the largest message when it is refused for its size, and reports it in doubt', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    for (const text of ['a', 'large one', 'b']) pair.send(text)
    pair.cut(1009)
    expect(pair.log).toContain('client emptied 2')
    pair.connect()
    pair.run()
    expect(texts(pair.serverHandled)).toEqual(['a', 'b'])
    pair.advance(200)
    pair.run()
    expect(pair.delivered).toEqual([1, 3])
  })

  it('stops after a third protocol error without progress, having given up the session at the second', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    pair.cut(4400)
    expect(pair.decision).toEqual({ action: 'backoff', notBefore: 0 })
    pair.connect()
    pair.run()
    pair.cut(4400)
    expect(pair.log).toContain('client lost protocol []')
    pair.connect()
    pair.run()
    pair.cut(4400)
    expect(pair.decision).toEqual({ action: 'stop', reason: 'protocol' })
  })

  it('asks for a token once more when it is refused, then stops', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.cut(4401)
    expect(pair.decision).toEqual({ action: 'now', notBefore: 0 })
    pair.connect()
    pair.cut(4401)
    expect(pair.decision).toEqual({ action: 'stop', reason: 'notAuthenticated' })
  })

  it('leaves when it was told to go away, and counts the rest of the wait when the line breaks earlier', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    pair.session.goAway(1000, 'restart')
    pair.carryOut()
    pair.run()
    pair.advance(400)
    pair.cut()
    expect(pair.decision).toEqual({ action: 'now', notBefore: 1000 })
    pair.client.stable()
    pair.connect()
    pair.run()
    pair.session.goAway(1000, 'restart')
    pair.carryOut()
    pair.run()
    pair.advance(1000)
    expect(pair.log.at(-1)).toBe('client hangUp 1000 going away')
    expect(pair.decision).toEqual({ action: 'now', notBefore: 0 })
  })

  it('comes back with backoff when it is sent away again before a line has been up for a while', () => {
    const pair = new SessionPair()
    const sentAway = (after: number, cutAfter = after) => {
      pair.connect()
      pair.run()
      pair.session.goAway(after, 'restart')
      pair.carryOut()
      pair.run()
      pair.advance(cutAfter)
      if (cutAfter < after) pair.cut()
      return pair.decision
    }
    expect(sentAway(0)).toEqual({ action: 'now', notBefore: 0 })
    expect(sentAway(0)).toEqual({ action: 'backoff', notBefore: 0 })
    expect(sentAway(1000, 400)).toEqual({ action: 'backoff', notBefore: 1000 })
    pair.client.stable()
    expect(sentAway(0)).toEqual({ action: 'now', notBefore: 0 })
  })

  it('is freed by "close" only: a bare close code leaves it', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    pair.cut(1006)
    expect(pair.table.sessions.size).toBe(1)
    pair.connect()
    pair.run()
    pair.client.close()
    pair.carryOut()
    pair.run()
    expect(pair.table.sessions.size).toBe(0)
    expect(pair.decision).toEqual({ action: 'stop', reason: 'closed' })
  })

  it('expires when nobody resumes it, and tells what was not delivered', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    pair.push('unheard')
    pair.cut()
    pair.advance(60_000)
    expect(pair.log).toContain('server ended expired [unheard]')
  })

  it('ignores volatile messages of a stream until the other side has flushed it', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    pair.session.peer.sendVolatile(3, new Uint8Array([1]))
    pair.carryOut()
    pair.client.peer.interrupt(3)
    pair.carryOut()
    pair.run()
    expect(pair.log).toContain('server flush 3')
    expect(pair.log.filter((line) => line.startsWith('client volatile'))).toEqual([])
    pair.session.peer.sendVolatile(3, new Uint8Array([2]))
    pair.carryOut()
    pair.run()
    expect(pair.log.filter((line) => line.startsWith('client volatile'))).toEqual(['client volatile 3 2'])
  })

  it('records before it tells: epoch, session, numbers', () => {
    const pair = new SessionPair({ durable: true })
    pair.send('a')
    const connection = pair.connect()
    pair.run()
    expect(connection.toServer).toEqual([])
    expect(pair.writes.map(({ kind }) => kind)).toEqual(['accept', 'begin'])
    pair.record()
    pair.run()
    expect(texts(pair.serverHandled)).toEqual(['a'])
    pair.send('b')
    expect(connection.toServer).toEqual([])
    pair.record()
    expect(connection.toServer).toEqual(['2:b'])
    pair.cut()
    const second = pair.connect()
    expect(second.toServer).toEqual([])
    pair.record()
    expect(second.toServer[0]).toContain('"epoch":1')
  })

  it('makes room for a new session by one that was never heard from', () => {
    const pair = new SessionPair()
    for (let conn = 1; conn <= 3; conn += 1) {
      pair.table.arrived(conn, 'same', 0)
      pair.frame(conn, '{"t":"open"}')
    }
    pair.table.arrived(4, 'same', 0)
    pair.frame(4, '{"t":"open"}')
    expect(pair.log).toContain('server hangUp 4429 too many sessions')
    pair.table.gone(1, 0)
    pair.carryOut()
    pair.table.arrived(5, 'same', 0)
    pair.frame(5, '{"t":"open"}')
    expect(pair.log).toContain('server ended evicted []')
  })

  it('empties a message that the client refuses for its size, and reports it in doubt', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    for (const text of ['a', 'large one', 'b']) pair.push(text)
    pair.toClient()
    pair.cut(1009)
    expect(pair.log).toContain('server emptied 2')
    pair.connect()
    pair.run()
    expect(texts(pair.clientHandled)).toEqual(['a', 'b'])
  })

  it('is not stopped by a server that finds itself to be the wrong one: it asks again', () => {
    const pair = new SessionPair()
    pair.connect()
    pair.run()
    pair.session.fenced()
    pair.carryOut()
    expect(pair.log).toContain('server hangUp 1001 the session is not here')
    expect(pair.decision).toEqual({ action: 'backoff', notBefore: 0 })
  })

  it('is not brought back by a look-up that was read before it ended', () => {
    const pair = new SessionPair({ serverDurable: true })
    const { table } = pair
    const head = { sid: 'old', key: '#k', principal: '', ttl: 60_000, limits: windowDefaults }
    const stored = { session: { ...head, epoch: 0, rx: 0, done: [], acked: 0, messages: [] }, waiting: [] }
    const resume = (epoch: number) => JSON.stringify({ t: 'resume', sid: 'old', key: 'k', epoch, rx: 0 })
    for (const conn of [1, 2]) {
      table.arrived(conn, '', 0)
      pair.frame(conn, resume(conn))
    }
    expect(pair.lookedUp).toEqual(['old', 'old'])
    table.found(1, stored, 0)
    table.sessions.get('old')?.machine.end('ended')
    pair.carryOut()
    expect(pair.log).toContain('server hangUp 1001 the session is not here')
    table.found(2, stored, 0)
    expect(table.sessions.size).toBe(0)
  })

  it('keeps the order of what was in doubt when the next session has a smaller window and is lost too', () => {
    const backlog = new Backlog(newBacklog(), backlogDefaults)
    const entry = (seq: number): Entry => ({
      seq,
      stream: TEXT,
      payload: 'x',
      bytes: 1,
      priority: 0,
      expiresAt: NEVER,
    })
    backlog.add(entry(3))
    backlog.requeue([entry(1), entry(2)])
    const first = backlog.shift() as Entry
    backlog.requeue([first])
    expect(backlogEntries(backlog.state).map(({ seq }) => seq)).toEqual([1, 2, 3])
    expect(backlog.state.bytes).toBe(3)
  })
})
