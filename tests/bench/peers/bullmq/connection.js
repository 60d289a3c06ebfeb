export const connection = {
  path: process.env.REDIS_URL.replace("unix://", "").split("?")[0],
  maxRetriesPerRequest: null,
};
