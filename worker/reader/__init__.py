"""The embedded receipt reader: OCR and rules on a CPU, behind the SageMaker container contract.

The only room that knows OCR, numpy, OpenCV and onnxruntime; of the rest of the project it knows the domain alone.
"""
