// An app that pushes counters to its session and handles those of the client, to be killed and frozen. Options, as JSON:
// port, report; store (a file) to survive, shared when another server has it, too; transact to record what it handles in the store's transactions;
// server (options of SessionServer); every (milliseconds between bursts); from (where its counters begin).

import { createServer } from 'node:http'
import { SessionServer } from 'guru-comms/server'
import { sqliteSessionStore } from 'guru-comms/storage/sqlite'
import { aWhile, onWord, openReport, options, readReport } from './sessionReport.mjs'

const { port = 0, report, store: file, shared, transact, server: given, every = 10, from = 0 } = options()
const say = openReport(report, 'server')

/** So many may be on their way before it pauses. */
const MOST = 300

const store = file ? sqliteSessionStore({ file, synchronous: 'normal', exclusive: !shared }) : undefined
if (transact) store.database.exec('CREATE TABLE IF NOT EXISTS seen (n INTEGER)')
const insert = transact && store.database.prepare('INSERT INTO seen VALUES (?)')

// A session that was never heard from may be one whose client died before it knew: it would never come back for what is
// pushed there.
const before = readReport(report, 'server')
const heardOf = new Set(before.filter(({ what }) => what === 'session').map(({ sid }) => sid))
const current = new Set()

const sessions = new SessionServer({ ...(store && { store }), ...given })
sessions.on('error', (error) => say('error', { code: error.code, message: error.message }))
sessions.onSession((session) => {
  if (heardOf.has(session.id)) current.add(session)
  session.handle(async ({ n }, { redelivered, record }) => {
    if (!heardOf.has(session.id)) {
      heardOf.add(session.id)
      say('session', { sid: session.id })
    }
    current.add(session)
    if (transact) await record(() => insert.run(n))
    say(transact ? 'recorded' : 'handled', { n, redelivered })
    await aWhile()
  })
  session.on('connected', ({ resumed }) => say('connected', { resumed }))
  session.on('disconnected', () => say('disconnected'))
  session.on('dropped', ({ data }) => say('dropped', { n: JSON.parse(data).n }))
  const over = (reason, inDoubt) => {
    current.delete(session)
    say('lost', { reason, inDoubt: inDoubt.map(({ data }) => JSON.parse(data).n) })
  }
  session.on('lost', ({ reason, inDoubt }) => over(reason, inDoubt))
  session.on('closed', ({ by, inDoubt }) => over(by, inDoubt))
})

let n = Math.max(from, ...before.map((line) => (line.what === 'sending' ? line.n : 0)))
function send(session) {
  n += 1
  const sent = n
  say('sending', { n })
  const receipt = session.send({ n })
  receipt.stored.then(() => say('stored', { n: sent }), ignore)
  receipt.delivered.then(() => say('delivered', { n: sent }), ignore)
}
function ignore() {}
const timer = setInterval(() => {
  for (const session of current) {
    if (session.queuedMessages > MOST) continue
    for (let burst = 1 + Math.floor(Math.random() * 4); burst > 0; burst -= 1) send(session)
  }
}, every)
onWord(() => {
  clearInterval(timer)
  for (const session of current) send(session)
  say('stopped', { n })
})

const http = createServer()
sessions.attach(http)
http.listen(port, '127.0.0.1', () => say('started', { port: http.address().port }))
