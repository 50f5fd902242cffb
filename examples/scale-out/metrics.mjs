// The figures of a node in the text format of Prometheus.

/** Those that go up and down; all others only ever grow. */
const GAUGES = new Set(['sessions', 'connections', 'queuedBytes', 'owned', 'holds', 'lastMs'])

/**
 * @param {import('guru-comms/server').SessionServerStats} server
 * @param {import('guru-comms/redis').RedisSessionStoreStats} store
 */
export function metricsText(server, store) {
  return [...lines('guru_sessions', server), ...lines('guru_store', store)].join('')
}

function* lines(prefix, stats) {
  for (const [name, value] of Object.entries(stats)) {
    const metric = `${prefix}_${name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`
    yield `# TYPE ${metric} ${GAUGES.has(name) ? 'gauge' : 'counter'}\n${metric} ${Number(value)}\n`
  }
}
