// Deliberate bugs in a copy of the engine. Each must be found by exploring, else the exploration shows nothing. A patch has to
// match exactly once, so that no refactoring can disarm it unnoticed.

import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SHIPPED } from './engine.ts'

export interface Mutation {
  /** The bug in words. */
  readonly name: string
  /** The smallest scenario that finds it. */
  readonly scenario: string
  readonly edits: readonly { readonly file: string; readonly find: string; readonly replace: string }[]
}

const one = (name: string, scenario: string, file: string, find: string, replace: string): Mutation => ({
  name,
  scenario,
  edits: [{ file, find, replace }],
})

export const mutations: readonly Mutation[] = [
  one(
    'acknowledges before the handler has settled',
    'memory',
    'peer.ts',
    'else this.#host.deliver(state.sid,',
    'else this.settled(state.sid, number, now), this.#host.deliver(state.sid,',
  ),
  one(
    'resumes one message too late',
    'memory',
    'outbox.ts',
    'this.state.sent = this.state.acked\n',
    'this.state.sent = Math.min(this.state.acked + 1, this.state.last)\n',
  ),
  one(
    'does not drop duplicates',
    'memory',
    'inbox.ts',
    "if (number <= state.taken) return 'duplicate'",
    "if (number <= state.taken) return 'start'",
  ),
  {
    name: 'sends new messages before those that it sends again',
    scenario: 'memory',
    edits: [
      {
        file: 'peer.ts',
        find: 'this.#outbox.rewind()\n    this.#flush()\n',
        replace: 'state.outbox.sent = state.outbox.last\n',
      },
      {
        file: 'peer.ts',
        find: 'this.#onDrop)\n    this.#flush()\n',
        replace: 'this.#onDrop)\n    this.#flush()\n    this.#outbox.rewind()\n    this.#flush()\n',
      },
    ],
  },
  {
    name: 'takes frames of a socket that has been replaced',
    scenario: 'memory',
    edits: [
      {
        file: 'serverSession.ts',
        find: "if (state.conn !== 0) this.#host.hangUp(state.conn, CLOSE.superseded, 'a newer epoch owns the session')",
        replace: '',
      },
      {
        file: 'serverSession.ts',
        find: "if (conn !== state.conn || state.phase !== 'up') return",
        replace: "if (state.phase !== 'up') return",
      },
    ],
  },
  one(
    'does not check the key',
    'stranger',
    'serverTable.ts',
    '!this.#host.same(known.keyHash, digest) ||',
    '',
  ),
  one(
    'does not check whose session it is',
    'stranger',
    'serverTable.ts',
    'known.principal !== connection.principal',
    'false',
  ),
  one(
    'acknowledges before the fact is recorded',
    'upServerDies',
    'inbox.ts',
    'state.recording = state.settled\n      return state.settled',
    'state.recording = state.settled\n      state.rx = state.settled\n      return state.settled',
  ),
  one(
    'says in "opened" and "resume" what is not recorded yet, so that the other side prunes it',
    'upServerDies',
    'peer.ts',
    'return this.#inbox.told()',
    'return this.#inbox.told(), this.state.inbox.settled',
  ),
  one(
    'gives numbers again after a restart',
    'upClientDies',
    'peer.ts',
    'restoredOutbox(record.acked, record.messages)',
    'restoredOutbox(0, record.messages)',
  ),
  one(
    'leaves the old owner at work after a takeover',
    'nodes',
    'serverSession.ts',
    "if (state.conn !== 0) this.#host.hangUp(state.conn, CLOSE.goingAway, 'the session is not here')\n    state.conn = 0\n    state.phase = 'over'\n    this.peer.detach()",
    '',
  ),
  one(
    'sends an epoch before it is recorded',
    'upClientDies',
    'clientSession.ts',
    "state.phase = 'recordingEpoch'\n    this.#host.store({ kind: 'epoch', sid: state.peer.sid, epoch: state.epoch })",
    "this.#host.store({ kind: 'epoch', sid: state.peer.sid, epoch: state.epoch })\n    this.#resume(now)",
  ),
  one(
    'forgets on resume what it has taken',
    'memory',
    'serverSession.ts',
    'this.peer.detach()\n    state.conn = conn\n',
    'this.peer.detach()\n    state.conn = conn\n    state.peer.inbox.taken = state.peer.inbox.rx\n',
  ),
  one(
    'sends messages before the session is opened',
    'memory',
    'clientSession.ts',
    "this.#host.send(encodeControl({ t: 'open', ...(ttl > 0 && { ttl }), ...this.#takeAuth() }))\n",
    "this.#host.send(encodeControl({ t: 'open', ...(ttl > 0 && { ttl }), ...this.#takeAuth() }))\n      this.peer.attach(now)\n      this.peer.up(now)\n",
  ),
  one(
    'drops a message that has a number when there is no room',
    'window',
    'peer.ts',
    'const result = this.#waiting.push(entry, this.#onDrop)',
    `const oldest = this.#outbox.at(state.outbox.acked + 1)
    if (oldest && this.#waiting.length >= this.#options.maxQueueMessages) {
      this.#outbox.acknowledge(state.outbox.acked + 1, () => {})
      this.#onDrop(oldest, 'overflow')
    }
    const result = this.#waiting.push(entry, this.#onDrop)`,
  ),
  // Not in anybody's list: what a tired programmer does.
  one(
    'sends a message before its number is recorded',
    'upClientDies',
    'outbox.ts',
    'this.state.sent < this.state.recorded',
    'this.state.sent < this.state.last',
  ),
  one(
    'resumes when an epoch is recorded that was meant for an earlier connection',
    'upClientDies',
    'clientSession.ts',
    'write.epoch === state.epoch && ',
    '',
  ),
  one(
    'counts the handler of an older session for the message that has its number now',
    'newSession',
    'peer.ts',
    'if (sid !== this.state.sid) return\n',
    '',
  ),
  one(
    'never sets the alarm for an ack',
    'memory',
    'inbox.ts',
    'if (state.tellAt === NOT_DUE) state.tellAt = now + ACK_DELAY_MS\n    return state.tellAt <= now',
    'return false',
  ),
  one(
    'ignores the rx of "opened" and "resume", so that a lost ack stays lost',
    'memory',
    'peer.ts',
    'if (!this.#outbox.canPlace(rx)) return false\n    this.#acknowledged(rx)',
    'if (!this.#outbox.canPlace(rx)) return false',
  ),
  one(
    'puts what was in doubt behind what waits',
    'expiryResent',
    'waiting.ts',
    'state.entries = [...entries, ...this.#waiting()]',
    'state.entries = [...this.#waiting(), ...entries]',
  ),
  one(
    'does not flag what may have been handled before a restart',
    'upServerDies',
    'inbox.ts',
    'suspect: rx + maxMessages',
    'suspect: rx',
  ),
  one(
    'ignores that the client refuses a message for its size',
    'voidDown',
    'serverSession.ts',
    'if (emptied) this.#host.emptied(emptied)\n    this.#detach(now)',
    'this.#detach(now)',
  ),
  one(
    'sends a message again for ever that nobody takes for its size',
    'voidDown',
    'serverSession.ts',
    'code === CLOSE.tooLarge || code === CLOSE.tooBig ?',
    'code === CLOSE.tooLarge ?',
  ),
  one(
    'brings a session back that ended while it was looked up',
    'lookUpOfEnded',
    'serverTable.ts',
    "if (phase === 'lookingUp' && (asked as Resume).sid === sid)",
    "if (phase === 'lookingUp' && asked === null)",
  ),
  one(
    'stops the only owner of a session that has ended while it was looked up',
    'nodes',
    'serverSession.ts',
    'this.#host.hangUp(state.conn, CLOSE.goingAway,',
    'this.#host.hangUp(state.conn, CLOSE.superseded,',
  ),
  one(
    'accepts an epoch twice',
    'copy',
    'serverSession.ts',
    'if (epoch <= state.epoch) {',
    'if (epoch < state.epoch) {',
  ),
  one(
    'takes up a session without what waits behind its window',
    'upClientDies',
    'clientSession.ts',
    'this.peer.restoreWaiting(waiting)',
    '',
  ),
  one(
    'frees a session for a bare close code',
    'goAway',
    'serverTable.ts',
    "if (connection.sid !== '') this.sessions.get(connection.sid)?.detach(conn, code, now)",
    "if (connection.sid !== '' && code === CLOSE.normal) this.sessions.get(connection.sid)?.end('closed')\n    else if (connection.sid !== '') this.sessions.get(connection.sid)?.detach(conn, code, now)",
  ),
]

/** A copy of the engine with these edits; returns its directory. */
export async function mutated(edits: Mutation['edits']): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'guru-mutant-'))
  await cp(SHIPPED, directory, { recursive: true, filter: (path) => !path.endsWith('.test.ts') })
  // Its files are modules, wherever it lies.
  await writeFile(join(directory, 'package.json'), '{"type":"module"}')
  for (const { file, find, replace } of edits) {
    const path = join(directory, file)
    const parts = (await readFile(path, 'utf8')).split(find)
    if (parts.length !== 2) throw new Error(`${file} holds ${parts.length - 1} times: ${find}`)
    await writeFile(path, parts.join(replace))
  }
  return directory
}
