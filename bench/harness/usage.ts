// What a stretch of work cost this process: time on the wall, CPU of all its threads (GC and compiler
// threads included), and, on demand, bytes allocated on the heap.

import { GCProfiler, getHeapStatistics } from 'node:v8'

export interface Usage {
  wallMs: number
  cpuUs: number
}

/** Runs `work` and tells its wall and CPU time. */
export async function meter<T>(work: () => Promise<T>): Promise<Usage & { value: T }> {
  const cpuBefore = process.cpuUsage()
  const before = performance.now()
  const value = await work()
  const wallMs = performance.now() - before
  const cpu = process.cpuUsage(cpuBefore)
  return { value, wallMs, cpuUs: cpu.user + cpu.system }
}

export interface Allocation {
  bytes: number
  gcUs: number
  collections: number
}

/**
 * Runs `work` and tells how many heap bytes it allocated: what the heap grew by, plus what every collection
 * in between gave back. Buffers outside the heap are not in it. Profiling costs time: never together with `meter`.
 */
export async function meterAllocation<T>(work: () => Promise<T>): Promise<Allocation & { value: T }> {
  const profiler = new GCProfiler()
  profiler.start()
  const before = getHeapStatistics().used_heap_size
  const value = await work()
  const after = getHeapStatistics().used_heap_size
  const { statistics } = profiler.stop()
  let bytes = after - before
  let gcUs = 0
  for (const collection of statistics) {
    bytes += collection.beforeGC.heapStatistics.usedHeapSize - collection.afterGC.heapStatistics.usedHeapSize
    gcUs += collection.cost
  }
  return { value, bytes, gcUs, collections: statistics.length }
}
