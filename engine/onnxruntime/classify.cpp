// A model file of edge-lstm with ONNX Runtime in C++: each line of standard input → label, probability, status.
//
//     g++ -O2 -std=c++17 classify.cpp edge_lstm.o -lonnxruntime -o classify     (Debian: libonnxruntime-dev)
//
// ONNX Runtime runs the network; edge_lstm.c checks the file, and gives labels and ids.
#include <onnxruntime_cxx_api.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

#include "../../engine/edge_lstm.h"

int main(int count, char **arguments) {
    if (count != 2) return std::fputs("usage: classify MODEL < lines\n", stderr), 2;
    std::ifstream stream(arguments[1], std::ios::binary);
    const std::vector<char> file((std::istreambuf_iterator<char>(stream)), {});
    const char *error = nullptr;
    std::vector<char> memory(edge_lstm_needs(file.data(), file.size(), nullptr, &error));
    edge_lstm *model = edge_lstm_open(file.data(), file.size(), nullptr, memory.data(), memory.size(), &error);
    if (!model) return std::fprintf(stderr, "error: %s: %s\n", arguments[1], error), 1;
    std::vector<char> more(edge_lstm_worker_needs(model));
    edge_lstm_worker *worker = edge_lstm_worker_start(model, more.data(), more.size());

    Ort::Env environment(ORT_LOGGING_LEVEL_ERROR);
    Ort::SessionOptions options;
    options.SetIntraOpNumThreads(1);
    Ort::Session session(environment, file.data(), file.size(), options);
    const auto shape = session.GetInputTypeInfo(0).GetTensorTypeAndShapeInfo().GetShape();
    const std::vector<int64_t> one_text{1, shape[1]};
    const auto cpu = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
    const char *const input = "input_ids", *const output = "probabilities";

    for (std::string line; std::getline(std::cin, line);) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        const int32_t *ids;
        size_t length;
        const auto status = edge_lstm_encode(worker, line.data(), line.size(), &ids, &length);
        std::vector<int32_t> row(static_cast<size_t>(shape[1]), 0);  // padding is 0, on the right
        std::copy(ids, ids + length, row.begin());
        Ort::Value tensor = Ort::Value::CreateTensor(cpu, row.data(), row.size(), one_text.data(), one_text.size());
        auto answers = session.Run({}, &input, &tensor, 1, &output, 1);
        const float *p = answers[0].GetTensorData<float>();
        const auto best = std::max_element(p, p + edge_lstm_labels(model)) - p;
        std::string labels;  // the text's: the most probable, or all that reach their threshold
        for (size_t i = 0; i < edge_lstm_labels(model); i++) {
            const double threshold = edge_lstm_threshold(model, i);
            if (threshold > 0 ? p[i] >= threshold : i == static_cast<size_t>(best))
                labels += (labels.empty() ? "" : "|") + std::string(edge_lstm_label(model, i));
        }
        std::printf("%s\t%.6f\t%s\n", labels.c_str(), static_cast<double>(p[best]), status);
    }
}
