// The heap once everything has been collected that can be. For processes started with --expose-gc.

export async function settledHeap(): Promise<number> {
  const { gc } = globalThis as { gc?: () => void }
  if (!gc) throw new Error('start with --expose-gc')
  // Finalizers and weak references need turns of the event loop between collections.
  for (let round = 0; round < 4; round += 1) {
    gc()
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  gc()
  return process.memoryUsage().heapUsed
}
