// One request at a time, the others in order. A request that is aborted while
// it waits leaves at once; one that runs is its own work's to end.

export class Queue {
  #tail: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #running = false;

  get waiting(): number {
    return this.#waiting;
  }

  get running(): boolean {
    return this.#running;
  }

  run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    return new Promise<T>((resolve, reject) => {
      this.#waiting += 1;
      let left = false;
      const leave = () => {
        left = true;
        this.#waiting -= 1;
        reject(signal!.reason);
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#tail = this.#tail.then(async () => {
        if (left) return;
        signal?.removeEventListener('abort', leave);
        this.#waiting -= 1;
        this.#running = true;
        try {
          resolve(await work());
        } catch (error) {
          reject(error);
        } finally {
          this.#running = false;
        }
      });
    });
  }
}
