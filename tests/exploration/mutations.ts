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
    'receiver.ts',
    'const redelivered = number <= inbox.suspect',
    'const redelivered = number <= inbox.suspect\n          this.settled(number, now)',
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
        find: 'this.sender.rewind()\n    this.sender.flush()\n',
        replace: 'state.outbox.sent = state.outbox.last\n',
      },
      {
        file: 'sender.ts',
        find: 'this.#onDrop)\n    this.flush()\n',
        replace: 'this.#onDrop)\n    this.flush()\n    this.#outbox.rewind()\n    this.flush()\n',
      },
    ],
  },
  {
    name: 'takes frames of a socket that has been replaced',
    scenario: 'memory',
    edits: [
      {
        file: 'serverSession.ts',
        find: "if (state.conn !== 0) this.#hangUp(state.conn, CLOSE.superseded, 'a newer epoch owns the session')",
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
    '!this.#keys.same(known.keyHash, digest) ||',
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
    'receiver.ts',
    'return this.#inbox.ackSent()\n',
    'return this.#inbox.ackSent(), this.#state.inbox.settled\n',
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
    "if (state.conn !== 0) this.#hangUp(state.conn, CLOSE.goingAway, 'the session is not here')\n    state.conn = 0\n    state.phase = 'over'\n    this.peer.detach()",
    '',
  ),
  one(
    'sends an epoch before it is recorded',
    'upClientDies',
    'clientSession.ts',
    "state.phase = 'recordingEpoch'\n    this.#store({ kind: 'epoch', sid: state.peer.sid, epoch: state.epoch })",
    "this.#store({ kind: 'epoch', sid: state.peer.sid, epoch: state.epoch })\n    this.#resume(now)",
  ),
  one(
    'forgets on resume what it has taken',
    'memory',
    'serverSession.ts',
    'this.peer.detach()\n    this.#attach(conn)\n',
    'this.peer.detach()\n    this.#attach(conn)\n    state.peer.inbox.taken = state.peer.inbox.rx\n',
  ),
  one(
    'sends messages before the session is opened',
    'memory',
    'clientSession.ts',
    "this.#send({ t: 'open', ...(ttl > 0 && { ttl }), ...this.#takeAuth() })\n",
    "this.#send({ t: 'open', ...(ttl > 0 && { ttl }), ...this.#takeAuth() })\n      this.peer.attach(now)\n      this.peer.up(now)\n",
  ),
  one(
    'drops a message that has a number when there is no room',
    'window',
    'sender.ts',
    'const result = this.#backlog.push(entry, this.#onDrop)',
    `const oldest = this.#outbox.at(state.outbox.acked + 1)
    if (oldest && this.#backlog.length >= this.#options.maxQueueMessages) {
      this.#outbox.acknowledge(state.outbox.acked + 1, () => {})
      this.#onDrop(oldest, 'overflow')
    }
    const result = this.#backlog.push(entry, this.#onDrop)`,
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
    'if (sid === this.state.sid) this.#receiver.settled(number, now)',
    'this.#receiver.settled(number, now)',
  ),
  one(
    'never sets the alarm for an ack',
    'memory',
    'inbox.ts',
    'if (state.ackAt === NOT_DUE) state.ackAt = now + ACK_DELAY_MS\n    return state.ackAt <= now',
    'return false',
  ),
  one(
    'ignores the rx of "opened" and "resume", so that a lost ack stays lost',
    'memory',
    'sender.ts',
    'if (!this.#outbox.canPlace(rx)) return false\n    this.#acknowledged(rx)',
    'if (!this.#outbox.canPlace(rx)) return false',
  ),
  one(
    'puts what was in doubt behind what waits',
    'expiryResent',
    'backlog.ts',
    'const FIRST = Number.MAX_SAFE_INTEGER',
    'const FIRST = -1 as number',
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
    'if (code === CLOSE.tooLarge || code === CLOSE.tooBig) this.peer.sender.setLargestAside()\n',
    '',
  ),
  one(
    'sends a message again for ever that nobody takes for its size',
    'voidDown',
    'serverSession.ts',
    'code === CLOSE.tooLarge || code === CLOSE.tooBig)',
    'code === CLOSE.tooLarge)',
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
    'this.#hangUp(state.conn, CLOSE.goingAway,',
    'this.#hangUp(state.conn, CLOSE.superseded,',
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
    'this.peer.sender.restoreBacklog(waiting)',
    '',
  ),
  one(
    'frees a session for a bare close code',
    'goAway',
    'serverTable.ts',
    'session.machine.detach(conn, code, now)',
    "if (code === CLOSE.normal) session.machine.end('closed')\n    else session.machine.detach(conn, code, now)",
  ),
  // Of the runtime that carries out what the machines say.
  one(
    'tells that a message was dropped before that is recorded, so that a death brings it back',
    'expiryOfDropped',
    'SessionRuntime.ts',
    'if (this.writer?.busy) this.state.held.push',
    'if (!this.writer) this.state.held.push',
  ),
  one(
    'never tells what was held back until it is recorded',
    'expiryOfDropped',
    'SessionRuntime.ts',
    'while (held.length > 0 &&',
    'while (held.length > 1 &&',
  ),
  one(
    'forgets the options of a message on its way to the machine',
    'age',
    'SessionRuntime.ts',
    'sender.send(stream, kept, bytes, this.#side.now(), options)',
    'sender.send(stream, kept, bytes, this.#side.now())',
  ),
  one(
    'does not count a message as settled whose handler throws',
    'throwing',
    'SessionRuntime.ts',
    '      this.report(error)\n    }\n    if (!isThenable(result)) {',
    '      this.report(error)\n      return\n    }\n    if (!isThenable(result)) {',
  ),
  one(
    'swallows what a handler throws',
    'throwing',
    'SessionRuntime.ts',
    'result = this.#side.handle(message)\n    } catch (error) {\n      this.report(error)\n    }',
    'result = this.#side.handle(message)\n    } catch {}',
  ),
  one(
    'acknowledges a message whose handler still runs',
    'memory',
    'SessionRuntime.ts',
    'if (!isThenable(result)) {',
    'if (isThenable(result)) {',
  ),
  one(
    'says an ack on a connection that has taken the place of the one it was meant for',
    'memory',
    'SessionRuntime.ts',
    '    this.state.ack = 0\n    this.#answers?.clear()',
    '    this.#answers?.clear()\n    this.#side.endOfTurn(() => this.#side.write(encodeAck(this.state.ack)))',
  ),
  one(
    'forgets the ack that was to go out at the end of the turn',
    'memory',
    'SessionRuntime.ts',
    'if (ack > 0) this.#side.write(encodeAck(ack))',
    'if (ack > 1) this.#side.write(encodeAck(ack))',
  ),
  one(
    'takes a message for recorded when the one before it is',
    'upClientDies',
    'SessionRuntime.ts',
    "      case 'accepted':\n        if (known.seq > this.state.recordedSeq) this.state.recordedSeq = known.seq\n        this.#receipts?.accept(known.seq)",
    "      case 'accepted':\n        if (known.seq > this.state.recordedSeq) this.state.recordedSeq = known.seq\n        this.#receipts?.accept(known.seq)\n        this.#receipts?.accept(known.seq + 1)",
  ),
  one(
    'settles the receipt of a message when it is recorded',
    'upClientDies',
    'SessionRuntime.ts',
    'this.#receipts?.accept(known.seq)',
    'this.#receipts?.arrive(known.seq)',
  ),
  one(
    'loses the writes of a step that come while others are being recorded',
    'both',
    'storeWriter.ts',
    '    state.queue.push(write)\n    state.pushed += 1',
    '    if (state.writing) return\n    state.queue.push(write)\n    state.pushed += 1',
  ),
  one(
    'tells of a batch before the store has it',
    'upServerDies',
    'storeWriter.ts',
    '    state.underWay = writes\n    state.writing = true',
    '    state.underWay = writes\n    state.writing = true\n    for (const write of writes) this.#owner.onStored(write)',
  ),
  one(
    'writes under another epoch than the one it holds',
    'upServerDies',
    'storeWriter.ts',
    "if (write.kind === 'epoch') state.held = write.epoch",
    "if (write.kind === 'epoch') state.held = 0 - write.epoch",
  ),
  one(
    'gives up a message twice: told as dropped, and kept',
    'window',
    'backlog.ts',
    "onDrop(this.#takeFirst(lowest), 'overflow')",
    "onDrop({ ...(lowest.entries[lowest.gone] as Entry) }, 'overflow')\n        break",
  ),
  one(
    'ends the session of a client that stops because another has taken it',
    'copy',
    'clientSession.ts',
    "        return stop('takenOver')",
    "        this.#lose('stopped')\n        return stop('takenOver')",
  ),
  one(
    'ends the session of a client whose token was refused twice',
    'refused',
    'clientSession.ts',
    "        return stop('notAuthenticated')",
    "        this.#lose('stopped')\n        return stop('notAuthenticated')",
  ),
]

/** A copy of the engine with these edits; returns its directory. */
export async function mutated(edits: Mutation['edits']): Promise<string> {
  const copy = await mkdtemp(join(tmpdir(), 'guru-mutant-'))
  const directory = join(copy, 'session')
  const filter = (path: string) => !path.endsWith('.test.ts')
  await cp(SHIPPED, directory, { recursive: true, filter })
  await cp(join(SHIPPED, '../core'), join(copy, 'core'), { recursive: true, filter })
  // Its files are modules, wherever it lies.
  await writeFile(join(copy, 'package.json'), '{"type":"module"}')
  for (const { file, find, replace } of edits) {
    const path = join(directory, file)
    const parts = (await readFile(path, 'utf8')).split(find)
    if (parts.length !== 2) throw new Error(`${file} holds ${parts.length - 1} times: ${find}`)
    await writeFile(path, parts.join(replace))
  }
  return directory
}
