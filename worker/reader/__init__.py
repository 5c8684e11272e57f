"""The embedded receipt reader: OCR and rules on a CPU, behind the SageMaker container contract.

No other package uses OCR, numpy, OpenCV or onnxruntime. It imports only `worker.receipts` and `worker.startup`.
"""
