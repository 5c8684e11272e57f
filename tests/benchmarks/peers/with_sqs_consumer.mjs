// sqs-consumer on Node: consumers of up to ten messages each, SLOTS in total. It takes S3 events.
import { readFileSync } from "node:fs";
import { DynamoDBClient, PutItemCommand, QueryCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { InvokeEndpointCommand, SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { SQSClient } from "@aws-sdk/client-sqs";
import { Consumer } from "sqs-consumer";

const calls = JSON.parse(readFileSync(process.env.CALLS, "utf8"));
const slots = Number(process.env.SLOTS);
const s3 = new S3Client({ forcePathStyle: true });
const sagemaker = new SageMakerRuntimeClient({});
const dynamodb = new DynamoDBClient({});

async function work(message) {
  const key = JSON.parse(message.Body).Records[0].s3.object.key;
  const object = await s3.send(new GetObjectCommand({ Bucket: "bench", Key: key }));
  const picture = await object.Body.transformToByteArray();
  await dynamodb.send(new UpdateItemCommand(calls.claim));
  const invocation = { EndpointName: "bench", ContentType: "image/jpeg", Accept: "application/json", Body: picture };
  const answer = await sagemaker.send(new InvokeEndpointCommand(invocation));
  JSON.parse(Buffer.from(answer.Body).toString());
  await dynamodb.send(new UpdateItemCommand(calls.answer));
  await dynamodb.send(new QueryCommand(calls.duplicates));
  const item = { ...calls.record.Item, document: { S: `bench/${key}` } };
  await dynamodb.send(new PutItemCommand({ ...calls.record, Item: item }));
  return message;
}

const count = Math.ceil(slots / 10);
const consumers = Array.from({ length: count }, (_, at) => {
  const consumer = Consumer.create({
    queueUrl: process.env.QUEUE_URL,
    batchSize: Math.floor(slots / count) + (at < slots % count ? 1 : 0),
    waitTimeSeconds: 20,
    pollingCompleteWaitTimeMs: 20_000, // the documented way to stop
    handleMessage: work,
    sqs: new SQSClient({}),
  });
  consumer.on("error", (error) => console.error(error.message));
  consumer.on("processing_error", (error) => console.error(error.message));
  consumer.start();
  return consumer;
});

let stopped = 0;
process.once("SIGTERM", () => {
  for (const consumer of consumers) {
    consumer.once("stopped", () => ++stopped === consumers.length && process.exit(0));
    consumer.stop();
  }
});
