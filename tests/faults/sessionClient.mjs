// An app that sends counters and handles those of the server, to be killed and frozen. Options, as JSON:
// url, report; outbox (a file) to survive; transact to record what it handles in the outbox's transactions;
// connection (options of GuruConnection); every (milliseconds between bursts).

import { GuruConnection } from 'guru-comms'
import { sqliteOutbox } from 'guru-comms/storage/sqlite'
import { aWhile, onWord, openReport, options, readReport } from './sessionReport.mjs'

const { url, report, outbox, transact, connection: given, every = 10 } = options()
const say = openReport(report, 'client')

/** So many may be on their way before it pauses. */
const MOST = 300

const connection = new GuruConnection({
  url,
  session: 'required',
  healthUrl: false,
  reconnectDelay: 20,
  stableAfter: 0,
  ...(outbox && { storage: sqliteOutbox({ file: outbox, synchronous: 'normal' }) }),
  ...given,
})
connection.handle(async ({ n }, { redelivered, record }) => {
  if (transact) {
    record((database) => {
      database.exec('CREATE TABLE IF NOT EXISTS seen (n INTEGER)')
      database.prepare('INSERT INTO seen VALUES (?)').run(n)
    })
  }
  say(transact ? 'recorded' : 'handled', { n, redelivered })
  await aWhile()
})
connection.on('open', () => say('open'))
connection.on('close', ({ code }) => say('close', { code }))
connection.on('error', ({ code, phase, message }) => say('error', { code, phase, message }))
connection.on('dropped', ({ data }) => say('dropped', { n: JSON.parse(data).n }))
connection.on('sessionLost', ({ reason, inDoubt }) =>
  say('lost', { reason, inDoubt: inDoubt.map(({ data }) => JSON.parse(data).n) }),
)

let n = Math.max(0, ...readReport(report, 'client').map((line) => (line.what === 'sending' ? line.n : 0)))
function send() {
  n += 1
  const sent = n
  say('sending', { n })
  const receipt = connection.send({ n })
  receipt.stored.then(() => say('stored', { n: sent }), ignore)
  receipt.delivered.then(() => say('delivered', { n: sent }), ignore)
}
function ignore() {}
const timer = setInterval(() => {
  const { queuedMessages, unacknowledgedMessages } = connection.getStats()
  if (queuedMessages + unacknowledgedMessages > MOST) return
  for (let burst = 1 + Math.floor(Math.random() * 4); burst > 0; burst -= 1) send()
}, every)
onWord(() => {
  clearInterval(timer)
  send()
  say('stopped', { n })
})
say('started')
