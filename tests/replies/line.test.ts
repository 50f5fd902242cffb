// Answers that outlive the line: reload, second device, cut, stop, restart, over plain lines and sessions.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Endpoint, type Reply } from 'guru-comms'
import { type Backend, createBackend, Replies, type Responder } from 'guru-comms/server'
import { sqliteLogStore } from 'guru-comms/storage/sqlite'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

const WORDS = 60
const sentence = Array.from({ length: WORDS }, (_, word) => `${word} `).join('')

let backend: Backend
let replies: Replies
let endpoints: Endpoint[]
/** The answers that have been begun, and how they can be made to go on. */
let begun: { id: string; goOn: () => void; signal: AbortSignal }[]

/** Says ten words, then waits until the test has it go on. */
const responder: Responder = {
  async *respond({ id }, { signal }) {
    const gate = Promise.withResolvers<void>()
    begun.push({ id, goOn: gate.resolve, signal })
    for (let word = 0; word < WORDS; word += 1) {
      if (word === 10) await gate.promise
      yield `${word} `
    }
  },
}

async function start(kept: Replies, port = 0): Promise<Backend> {
  return await createBackend({
    port,
    responder,
    replies: kept,
    authenticate: ({ headers }) => headers.authorization?.replace('Bearer ', ''),
  })
}

beforeEach(async () => {
  begun = []
  endpoints = []
  replies = new Replies()
  backend = await start(replies)
})
afterEach(async () => {
  for (const endpoint of endpoints) endpoint.dispose()
  for (const { goOn } of begun) goOn()
  await backend.close({ graceMs: 0 })
  await replies.close()
})

function open(session: 'off' | 'required', token = 'ada', to = backend): Endpoint {
  const endpoint = new Endpoint({
    WS_URL: `ws://127.0.0.1:${to.port}/ws`,
    API_BASE_URL: to.url,
    token,
    connection: { session, reconnectDelay: 50, healthInterval: 50 },
  })
  endpoints.push(endpoint)
  return endpoint
}

/** Reads until so many words have come, and leaves it unread from then on. */
async function partOf(reply: Reply, words: number): Promise<string> {
  let text = ''
  // Not `for await`: leaving that would stop the reply.
  const iterator = reply[Symbol.asyncIterator]()
  while (text.split(' ').length <= words) text += (await iterator.next()).value
  return text
}

const goOn = () => {
  for (const one of begun) one.goOn()
}

describe.each(['off', 'required'] as const)('with session %s', (session) => {
  it('the page is reloaded in mid-answer: the next one has the rest, and another device all of it', async () => {
    const page = open(session)
    const reply = page.ask('count')
    const before = await partOf(reply, 10)
    const { id, offset } = reply
    expect(offset).toBeDefined()
    reply.text().catch(() => {})
    page.dispose()

    const rest = open(session).resume(id, { offset })
    const device = open(session).resume(id)
    expect(await partOf(device, 10)).toBe(before)
    goOn()
    expect(before + (await rest.text())).toBe(sentence)
    expect(await device.text()).toBe(sentence)
    expect(begun.length).toBe(1)
  })

  it('the line is cut in mid-answer: it goes on, once and whole', async () => {
    const reply = open(session).ask('count')
    await partOf(reply, 10)
    backend.cut()
    goOn()
    expect(await reply.text()).toBe(sentence)
    expect(begun.length).toBe(1)
  })

  it('a second device stops it: the responder hears of that, and both have what was said', async () => {
    const reply = open(session).ask('count')
    const said = await partOf(reply, 10)
    const device = open(session).resume(reply.id)
    await partOf(device, 10)
    device.stop()
    expect(await device.text()).toBe(said)
    expect(await reply.text()).toBe(said)
    await vi.waitFor(() => expect(begun[0]?.signal.aborted).toBe(true), { timeout: 60_000 })
    // Stopping and hearing it again do not exclude each other.
    expect(await open(session).resume(reply.id).text()).toBe(said)
  })

  it('two resume it at the same time, one of them twice: each has it once', async () => {
    const reply = open(session).ask('count')
    await partOf(reply, 10)
    const one = open(session).resume(reply.id)
    const other = open(session)
    const first = other.resume(reply.id)
    expect(() => other.resume(reply.id)).toThrow(/waited for already/)
    goOn()
    expect(await Promise.all([one.text(), first.text(), reply.text()])).toEqual([
      sentence,
      sentence,
      sentence,
    ])
  })

  it('nobody hears the answer of somebody else, nor one that never was', async () => {
    const reply = open(session).ask('count')
    await partOf(reply, 10)
    for (const resumed of [open(session, 'eve').resume(reply.id), open(session).resume('none')])
      await expect(resumed.text()).rejects.toMatchObject({ code: 'REMOTE', remote: { code: 'NOT_FOUND' } })
    open(session, 'eve').connection.send({ type: 'stop', id: reply.id })
    goOn()
    expect(await reply.text()).toBe(sentence)
  })
})

it('the backend is replaced: what was said is there, and what had not ended is told as interrupted or answered anew', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'guru-line-'))
  const store = () => sqliteLogStore({ file: join(folder, 'replies.db') })
  const before = new Replies({ store: store(), leaseMs: 500 })
  const first = await start(before)
  const done = open('off', 'ada', first).ask('count')
  await partOf(done, 10)
  goOn()
  await done.text()
  const cut = open('off', 'ada', first).ask('count')
  await partOf(cut, 10)
  cut.text().catch(() => {})
  await first.close({ graceMs: 0 })
  await before.close()

  const after = new Replies({ store: store(), leaseMs: 500 })
  const second = await start(after)
  try {
    expect(await open('off', 'ada', second).resume(done.id).text()).toBe(sentence)
    // The question comes again, as a session with a store hands it over: it is answered anew under the same id.
    await vi.waitFor(async () => expect(await after.find(cut.id)).toMatchObject({ state: 'interrupted' }), {
      timeout: 60_000,
    })
    const again = open('off', 'ada', second).ask('count', { id: cut.id })
    const listener = open('off', 'ada', second).resume(cut.id)
    await vi.waitFor(() => expect(begun.length).toBe(3), { timeout: 60_000 })
    goOn()
    expect(await again.text()).toBe(sentence)
    expect(await listener.text()).toBe(sentence)
  } finally {
    for (const endpoint of endpoints) endpoint.dispose()
    await second.close({ graceMs: 0 })
    await after.close()
    rmSync(folder, { recursive: true })
  }
})
