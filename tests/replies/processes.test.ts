// Producers and readers in processes of their own, on one file.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Replies, type ReplyEvent } from 'guru-comms/server'
import { sqliteLogStore } from 'guru-comms/storage/sqlite'
import { afterEach, beforeEach, expect, it } from 'vitest'

let folder: string
let file: string
let replies: Replies
const children: ChildProcess[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'guru-replies-'))
  file = join(folder, 'replies.db')
  replies = new Replies({ store: sqliteLogStore({ file, pollInterval: 20 }) })
})
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  await replies.close()
  rmSync(folder, { recursive: true })
})

function produce(words: number): ChildProcess {
  const child = fork(join(import.meta.dirname, 'replyProcess.ts'), [file, 'one', String(words)])
  children.push(child)
  return child
}

const sentence = (words: number) => Array.from({ length: words }, (_, word) => `${word} `).join('')

it('a producer is killed, its reader hears of it, another takes over, and the text is whole', async () => {
  const first = produce(1_000_000)
  await once(first, 'message')
  let text = ''
  const states: string[] = []
  for await (const event of replies.read('one')) {
    if (event.type === 'text') text += event.text
    // Killed while it writes and is read.
    if (text.length > 100 && states.length === 0 && !first.killed) first.kill('SIGKILL')
    if (event.type === 'state') {
      states.push(event.state)
      // What was written before it died is there, whole and in order.
      if (event.state === 'interrupted') {
        expect(sentence(1_000_000).startsWith(text)).toBe(true)
        produce(50)
      }
    }
    if (event.type === 'reset') text = ''
  }
  expect(states).toEqual(['interrupted', 'complete'])
  expect(text).toBe(sentence(50))
})

it('is stopped from another process: the producer ends, all readers see the same', async () => {
  const producer = produce(1_000_000)
  await once(producer, 'message')
  const ended = once(producer, 'exit')
  const read = async () => {
    const events: ReplyEvent[] = []
    for await (const event of replies.read('one')) events.push(event)
    return events
  }
  const reading = [read(), read()]
  expect(await replies.stop('one')).toBe(true)
  // Its next write is refused, and that nobody caught.
  expect((await ended)[0]).not.toBe(0)
  const [one, other] = await Promise.all(reading)
  const whole = (events: ReplyEvent[] = []) =>
    events.map((event) => (event.type === 'text' ? event.text : event.type)).join('')
  expect(whole(one)).toBe(whole(other))
  expect(one?.at(-1)).toMatchObject({ type: 'state', state: 'stopped' })
})
